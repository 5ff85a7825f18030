"""Hydra's errors as one line that names the key and the remedy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from hydra.errors import MissingConfigException, OverrideParseException

from densepred import home
from densepred.build import renamed
from densepred.cli import groups, help, synonyms
from densepred.cli.compose import one_line
from densepred.cli.typed import Typed, at, paths
from densepred.errors import UserError, in_shell, suggest

KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false"}


def flat(message: str) -> str:
    return "; ".join(line.strip() for line in message.splitlines() if line.strip())


def sentence(error: Exception, typed: Typed) -> str:
    """Return the message of an error on one line: key, fact, remedy."""
    if isinstance(error, UserError):
        return flat(str(error))
    if isinstance(error, OverrideParseException):
        return _syntax(error)
    if isinstance(error, MissingConfigException):
        return _option(error, typed)
    text = str(error)
    if found := re.search(r"Could not delete from config\. '([^']+)'", text):
        if found[1] in typed.known_keys():
            return f"~{found[1]}: it is null, and only keys that have a value can be removed; leave the word out"
        return _key(found[1], "", typed)
    if found := re.search(r"Could not override '([^']+)'", text):
        return _new_name(found[1], error, typed) or _key(found[1], _given(found[1], typed), typed)
    if found := re.search(r"Multiple values for ([\w/]+)", text):
        return f"+{found[1]}: an option of {found[1]} is chosen already; type {found[1]}=... without +"
    if found := re.search(r"Ambiguous value for argument '([^=']+)=([^']*)'", text):
        return _ambiguous(found[1], found[2], typed)
    if found := re.search(r"Error merging override (\S+)", text):
        return _value(found[1], error, typed)
    return one_line(error) + (f"; {one_line(error.__cause__)}" if error.__cause__ else "")


def _option(error: MissingConfigException, typed: Typed) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    if not group:
        names = ", ".join(sorted(error.options or ())) or "none"
        return f"{option}: there is no such config file; choose one of {names}"
    options = sorted(error.options or typed.options(group))  # Hydra does not tell them for a list of options
    meant = synonyms.option(option, options)
    hint = f"type {group}={meant}" if meant else suggest(option, options)
    further = f" (a model of timm: encoder=timm encoder.name={option})" if group == "encoder" and not meant else ""
    return f"{group}={option}: there is no such option; {hint}{further}"


def _key(key: str, value: str, typed: Typed) -> str:
    tree = typed.chosen()
    known = list(paths(tree))
    parent, _, name = key.rpartition(".")
    siblings = [other.removeprefix(f"{parent}.") for other in known if parent and other.rpartition(".")[0] == parent]
    hint = _of_training(key, typed, tree) or _renamed(parent, name, value, tree) or synonyms.key(key, value, known)
    hint = hint or _near(name, siblings, f"{parent}.")
    if hint is None and siblings:
        hint = f"{parent} has {', '.join(siblings)}"
    hint = hint or _below(key, value, tree) or _near(key, known)
    return f"{key}: there is no such key; {hint or 'see --help for the keys and --cfg job for all of them'}"


def _new_name(key: str, error: Exception, typed: Typed) -> str | None:
    """Return what to type for a mapping that names a key which the mapping at `key` lacks; None for other errors.

    Hydra merges the two, and adds keys with + alone. Its error names `key`, which exists.
    """
    found = re.search(r"Key '(.+?)' (?:is )?not in", one_line(error.__cause__ or error))
    if found is None or key not in set(paths(typed.chosen())):
        return None
    word = next(word for word in reversed(typed.words) if word.partition("=")[0] == key)
    known = [name.removeprefix(f"{key}.") for name in paths(typed.chosen()) if name.startswith(f"{key}.")]
    hint = suggest(found[1], known)
    if not hint.startswith("did you mean"):
        hint = f"to add it to the rest type {in_shell(f'+{word}')}"
    return f"{key}: the mapping has no key {found[1]}; {hint}"


def _of_training(key: str, typed: Typed, tree: dict[str, Any]) -> str | None:
    """Return what to do with a word of a training, such as task=..., beside a command that reads data alone."""
    group = key.split(".")[0]
    if typed.name not in ("check", "convert") or group in tree:
        return None
    known = help.groups((typed.configs / "train.yaml").read_text(encoding="utf-8"))
    hint = f"densepred-{typed.name} reads the data, whatever the training is; leave it out"
    return hint if group in known else None


def _renamed(parent: str, name: str, value: str, tree: dict[str, Any]) -> str | None:
    """Return what to type for a key that had another name in earlier versions."""
    now = renamed.present(at(tree, f"{parent}._target_"), name) if parent else renamed.COMMANDS.get(name, name)
    place = f"{parent}.{now}" if parent else now
    return f"it is called {now} now; type {place}={value or '...'}" if now != name and place in paths(tree) else None


def _below(key: str, value: str, tree: dict[str, Any]) -> str | None:
    """Return what to type for a key below a known one, such as model.encoder.norm or optimizer.groups.encoder.lr."""
    parts = key.split(".")
    for n in range(len(parts) - 1, 1, -1):
        above, rest = ".".join(parts[:n]), ".".join(parts[n:])
        found = at(tree, above)
        if isinstance(found, str) and (group := re.fullmatch(r"\$\{(\w+)\}", found)):
            return f"{above} is the group {group[1]}; type {group[1]}.{rest}={value or '...'}"
        if above in paths(tree) and found is None:
            return f"to add it below {above} type +{key}={value or '...'}"
    return None


def _near(word: str, words: Iterable[str], prefix: str = "") -> str | None:
    hint = suggest(word, words)
    return hint.replace("mean ", f"mean {prefix}") if hint.startswith("did you mean") else None


def _value(override: str, error: Exception, typed: Typed) -> str:
    reason = one_line(error.__cause__ or error)
    key, _, value = override.lstrip("+~").partition("=")
    if re.search(r"Key '.+?' (is )?not in", reason):
        return _key(key, value, typed)
    if "Cannot assign str to Dict" in reason:
        return f"{key}: {value}; give a mapping: type {key}.KEY=VALUE"
    if "list index out of range" in reason:
        return f"{key}: {value}; the list is shorter; see --cfg job"
    if "is not a subclass of" in reason:
        return f"{key}: {value}; {_section(key, value, typed)}"
    kind = re.search(r"(?:could not be converted to|is not a valid) (\w+)", reason)
    if "Cannot convert 'list' to" in reason:
        return f"{key}: {value}; give one value, no list"
    if "is not a ListConfig" in reason:
        return f"{key}: {value}; give a list: type {in_shell(f'{key}=[{value}]')}"
    return f"{key}: {value}; " + (f"give {KINDS[kind[1]]}" if kind and kind[1] in KINDS else reason)


def _ambiguous(key: str, value: str, typed: Typed) -> str:
    """Return what to type instead of values with a bare comma: a decimal point, a list, or a sweep."""
    if key in typed.groups() and key not in groups.SEVERAL:
        return groups.listed(key, value.split(","), f"{key}={value}")
    fraction = re.fullmatch(r"([-+]?\d+),(\d+)", value)
    before = at(typed.chosen(), key.lstrip("+~"))
    if fraction and (isinstance(before, float) or fraction[1].strip("-+") == "0"):
        meant = f"decimals have a point: type {key}={fraction[1]}.{fraction[2]}"
    else:
        meant = f"type {in_shell(f'{key}=[{value}]')} for a list"
        if os.path.lexists(value):
            return f"{key}: {flat(value)}; for this path type {home.typed(key, value)}; or {meant}"
    return f"{key}: {value}; {meant}, or add --multirun for one run per value"


def _section(key: str, value: str, typed: Typed) -> str:
    """Return what to type instead of a value for a whole section of keys, such as data=cityscapes."""
    for group in sorted(typed.groups()):
        if value in typed.options(group):
            return f"{key} is no group; type {group}={value}"
    inner = [name for name in typed.known_keys() if name.rpartition(".")[0] == key]
    return f"{key} is a section; type {inner[0]}=..., or another of {', '.join(inner[1:])}"


def _syntax(error: OverrideParseException) -> str:
    key, equals, value = error.override.partition("=")
    if not equals:
        return f"{error.override}: not of the form key=value; see --help"
    if value[:1] in "[{" or value[:1] in "\"'":
        return f"{key}: {value}; {flat(error.message).split(';')[0]}; mend the brackets and quotes"
    return f"{key}: {flat(value)}; characters such as = , ( [ have a meaning here; write {home.typed(key, value)}"


def _given(key: str, typed: Typed) -> str:
    """Return the value that was typed for a key."""
    words = (word.lstrip("+~").partition("=") for word in typed.words)
    return next((value for name, _, value in words if name == key), "")
