"""Secrets in settings: found by the names of their keys, in addresses, and where they come from the environment.

`collect` runs before anything of a run is written; from then on `densepred.output` hides their values in every text.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from densepred import output
from densepred.errors import UserError
from densepred.output import HIDDEN
from densepred.rundir import override

SECRET = re.compile(
    r"(?i:passw|passphrase|secret|credential|(api|access|private|signing)_?key|bearer|cookie)"
    r"|(?i:(?<![a-z])(token|pwd|pw|pass|auth|authorization|sig|signature)(?![a-z]))"
    r"|[a-z](Token|Auth|Pwd|Pass)(?![a-z])"
)
"""Keys that sound secret. Short words count as whole words only: author, passes and num_tokens are none."""

PORT = r"[^/@\s]+:\d{1,5}[/?#]"
REST = r"(?:(?!\w+://)[^\s'\"])*"
LOGIN = re.compile(rf"(\w+://)((?!{PORT})[^/@\s?#:]*:{REST}|[^/\s?#]+)@")
"""Name and password in an address, up to its last `@`: many a password holds `/`, `?` or `@` as they are."""

QUERY = re.compile(r"(?<=[?&#])([^=&#\s]+)=([^&#\s'\"]+)")
ADDRESS = re.compile(r"\w+://\S+")
VARIABLE = re.compile(r"\$\{oc\.env:\s*['\"]?(\w+)")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
LONG = 16  # characters of a value in the query of an address that count as secret whatever its name


def collect(config: DictConfig) -> None:
    """Learn the secrets of a composed configuration."""
    raw = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    _learn(raw, "", config)


def _learn(node: Any, at: str, config: DictConfig, secret: bool = False) -> None:
    if isinstance(node, Mapping):
        for key, value in node.items():
            _learn(value, f"{at}.{key}" if at else str(key), config, secret or is_secret(key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            _learn(value, f"{at}[{index}]", config, secret)
    elif isinstance(node, str):
        for found in VARIABLE.finditer(node):
            _of_environment(os.environ.get(found[1]))
        value = _resolved(config, at) if "${" in node else node
        if secret and value is not None:
            output.keep_secret(value)
        for part in _in_addresses(str(value)):
            output.keep_secret(part)
        if node.startswith("${oc.env:"):
            _of_environment(value)
    elif secret and isinstance(node, int | float) and not isinstance(node, bool):
        output.keep_secret(node)


def _of_environment(value: object) -> None:
    """Hide a value of the environment, except for plain numbers and words, and for paths that exist.

    They stand in many messages, and tell nothing.
    """
    if not tells_nothing(value):
        output.keep_secret(value)


def tells_nothing(value: object) -> bool:
    """Return True for a value that is no secret wherever it comes from: a plain number or word, a path that exists."""
    if isinstance(value, Mapping | list):
        return all(map(tells_nothing, value.values() if isinstance(value, Mapping) else value))
    text = "" if value is None else str(value)
    plain = text.lower() in ("", "true", "false", "null", "none") or NUMBER.fullmatch(text) is not None
    return plain or (os.sep in text and Path(text).exists())


def _resolved(config: DictConfig, at: str) -> object:
    try:
        return OmegaConf.select(config, at)
    except OmegaConfBaseException:  # told when the settings are read
        return None


def _in_addresses(text: str) -> list[str]:
    """Return the passwords and keys in the addresses of a text."""
    found = []
    for address in ADDRESS.findall(text):
        found += [part for login in LOGIN.finditer(address) for part in (login[2], login[2].partition(":")[2])]
        found += [match[2] for match in QUERY.finditer(address) if is_secret(match[1]) or len(match[2]) >= LONG]
    return [part for part in found if part]


def is_secret(key: object) -> bool:
    return SECRET.search(str(key)) is not None


def hide(node: Any, secret: bool = False) -> Any:
    """Return a node without the values below keys that sound secret, without logins and queries of addresses."""
    if isinstance(node, Mapping):
        return {hide(key): hide(value, secret or is_secret(key)) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [hide(value, secret) for value in node]
    if isinstance(node, str):
        return HIDDEN if secret and node and "${" not in node else output.without_secrets(_plain(node))
    number = isinstance(node, int | float) and not isinstance(node, bool)
    return HIDDEN if secret and number else node


def hide_values(node: Any) -> Any:
    """Return a node without the secrets that are known, whatever its keys are called."""
    if isinstance(node, Mapping):
        return {hide_values(key): hide_values(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [hide_values(value) for value in node]
    return output.without_secrets(node) if isinstance(node, str) else node


def _plain(text: str) -> str:
    text = LOGIN.sub(rf"\1{HIDDEN}@", text)
    return ADDRESS.sub(lambda found: QUERY.sub(rf"\1={HIDDEN}", found[0]), text)


def redacted(word: str) -> str:
    """Return an override `key=value` with its secrets hidden, also those in a mapping or a list."""
    key, equals, value = word.partition("=")
    if not equals:
        return output.without_secrets(word)
    secret = any(map(is_secret, re.split(r"[.@/]", key)))
    if value[:1] in ("{", "["):
        return f"{key}={output.without_secrets(_plain(_nested(value, secret)))}"
    return f"{key}={hide(value, secret)}"


TOKEN = re.compile(r"""\s+|[{}\[\],:]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s{}\[\],:]+""")


@dataclass(slots=True)
class _Bracket:
    """A mapping or a list that is being read; `secret` if all in it is, `key` and `value` of the entry at hand."""

    mapping: bool
    secret: bool
    key: str = ""
    value: bool = False

    @property
    def hidden(self) -> bool:
        return self.secret or (self.mapping and is_secret(self.key))


def _nested(text: str, secret: bool) -> str:
    """Hide what stands below secret keys in a mapping or a list of Hydra's grammar, and leave the rest as typed."""
    out, unclosed = [], [_Bracket(False, secret)]
    for token in TOKEN.findall(text):
        inner, shown = unclosed[-1], token
        if token in ("{", "["):
            unclosed.append(_Bracket(token == "{", inner.hidden))
        elif token in ("}", "]") and len(unclosed) > 1:
            unclosed.pop()
        elif token in (",", ":"):
            inner.value = token == ":"
        elif inner.mapping and not inner.value and not token.isspace():
            inner.key = token.strip("\"'")
        elif inner.hidden and not token.isspace():
            shown = HIDDEN
        out.append(shown)
    return "".join(out)


def written(value: Any) -> str:
    """Return a value in Hydra's grammar of overrides."""
    if isinstance(value, str):
        # A backslash is an escape before a quote only.
        escaped = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), value)
        return f'"{escaped}"'
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(written(inner) for inner in value) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def typed_again(source: str, words: Sequence[str], typed: Sequence[str]) -> list[str]:
    """Return recorded overrides without those with a secret that is typed again.

    Raises UserError for a secret that is not typed: files of a run never hold one.
    """
    keys = [override.key(word) for word in typed]
    kept = []
    for word in words:
        if HIDDEN not in word:
            kept.append(word)
            continue
        hidden = override.key(word)
        if not any(key == hidden or key.startswith(f"{hidden}.") for key in keys):
            raise UserError(f"{source}: {hidden} held a secret, which is not recorded; type {hidden}=... again")
    return kept


@contextmanager
def hidden_in_arguments() -> Iterator[None]:
    """Hide secrets in `sys.argv`: packages of loggers record the words of the command beside the settings."""
    before = sys.argv
    sys.argv = [output.without_secrets(word) for word in before]
    try:
        yield
    finally:
        sys.argv = before
