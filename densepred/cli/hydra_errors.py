"""Hydra's errors as one line that names the key and the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from densepred.cli import help
from densepred.cli.compose import one_line
from densepred.errors import UserError

KINDS = {"Integer": "a whole number", "Float": "a number", "bool": "true or false"}


def flat(message: str) -> str:
    return "; ".join(line.strip() for line in message.splitlines() if line.strip())


@dataclass(frozen=True)
class Typed:
    """What the user typed, and where its configs are: enough to find what was meant."""

    name: str
    configs: Path
    arguments: Sequence[str]


def sentence(error: Exception, typed: Typed) -> str:
    """What to tell the user."""
    if isinstance(error, UserError):
        return flat(str(error))
    if isinstance(error, OverrideParseException):
        return _syntax(error)
    if isinstance(error, MissingConfigException):
        return _option(error, typed)
    text = str(error)
    if found := re.search(r"Could not override '([^']+)'", text):
        return _key(found[1], typed)
    if found := re.search(r"Error merging override (\S+)", text):
        return _value(found[1], error, typed)
    return one_line(error) + (f"; {one_line(error.__cause__)}" if error.__cause__ else "")


def _option(error: MissingConfigException, typed: Typed) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    options = sorted(error.options or (_options(group, typed) if group else ()))
    if not group:
        return f"{option}: there is no such config file; known: {', '.join(options) or 'none'}"
    return f"{group}={option}: there is no such option; {_near(option, options)}known: {', '.join(options) or 'none'}"


def _options(group: str, typed: Typed) -> set[str]:
    """Those of a group, which Hydra does not tell where a list of options was given."""
    folders = [typed.configs, *help.config_dirs(typed.arguments)]
    return {file.stem for folder in folders for file in (folder / group).glob("*.yaml")}


def _key(key: str, typed: Typed) -> str:
    known = list(known_keys(typed))
    parent, _, name = key.rpartition(".")
    siblings = [other.removeprefix(f"{parent}.") for other in known if parent and other.rpartition(".")[0] == parent]
    if siblings:
        hint = _near(name, siblings).replace("mean ", f"mean {parent}.") or f"{parent} has {', '.join(siblings)}"
    else:
        hint = _near(key, known) or "see --help for the keys and --cfg job for all of them"
    return f"{key}: there is no such key; {hint.strip()}"


def _near(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(words), 1, 0.6)
    return f"did you mean {near[0]}? " if near else ""


def _value(override: str, error: Exception, typed: Typed) -> str:
    reason = one_line(error.__cause__ or error)
    key, _, value = override.partition("=")
    if re.search(r"Key '.+?' (is )?not in", reason):
        return _key(key.lstrip("+~"), typed)
    kind = re.search(r"(?:could not be converted to|is not a valid) (\w+)", reason)
    if "is not a ListConfig" in reason:
        return f"{key}: {value}; give a list, [{value}]"
    return f"{key}: {value}; " + (f"give {KINDS[kind[1]]}" if kind and kind[1] in KINDS else reason)


def _syntax(error: OverrideParseException) -> str:
    key, equals, value = error.override.partition("=")
    if not equals:
        return f"{error.override}: not of the form key=value; see --help"
    if value[:1] in "[{" or value[:1] in "\"'":
        return f"{key}: {value}; {flat(error.message).split(';')[0]}; mend the brackets and quotes"
    return f"{key}: {value}; characters such as = , ( [ have a meaning here; write '{key}=\"{value}\"'"


def known_keys(typed: Typed) -> Iterator[str]:
    """Every key of the configuration as it would be with the chosen options alone."""
    with initialize_config_dir(str(typed.configs), version_base="1.3"):
        groups = [folder.name for folder in typed.configs.iterdir() if folder.is_dir()]
        choices = [word for word in typed.arguments if word.partition("=")[0] in groups]
        further = ",".join(f"file://{folder.resolve()}" for folder in help.config_dirs(typed.arguments))
        choices.append(f"hydra.searchpath=[{further}]")
        for overrides in (choices, choices[-1:]):
            try:
                config = compose(typed.name, overrides=overrides)
            except (HydraException, OmegaConfBaseException):
                continue
            yield from _paths(OmegaConf.to_container(config, resolve=False), "")
            return


def _paths(node: Any, at: str) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if not str(key).startswith("_"):
                yield f"{at}{key}"
                yield from _paths(value, f"{at}{key}.")
