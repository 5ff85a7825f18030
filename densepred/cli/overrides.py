"""Overrides as words: paths that Hydra would read as numbers, and overrides from a file, accepted as data only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException

from densepred.dataset.paths import ALIASES
from densepred.errors import UserError
from densepred.home import expand

KEY = re.compile(r"[a-zA-Z]\w*(\.[a-zA-Z]\w*)+", re.ASCII)

PATHS = {"root", "list", "images", "masks", "annotations", "panoptic", "heads", "ckpt", "input", "output", "boxes"}
PATHS |= {
    "lists",
    "data",
    "coco_ids",
    "init",
    "encoder",
    "model",
    "resume",
    "dir",
    "runs",
    "html",
    "evaluations",
    "classes_json",
}
PATHS |= {"labels", "names", "patches"}
"""Last words of the keys that hold a path; `encoder` and `model` only as `weights.encoder` and `weights.model`."""

NUMBER = re.compile(r"[-+]?[\d_]+(\.[\d_]*)?([eE][-+]?\d+)?", re.ASCII)


_SPLIT = "|".join(ALIASES)


def understood(word: str) -> str:
    """Return an override as Hydra has to read it: paths in quotes, splits under their names."""
    if not word.partition("=")[0].strip("+~ "):
        raise UserError(f"{word!r}: not of the form key=value; see --help")
    return quoted(with_splits(word))


def of_data(words: Sequence[str]) -> list[str]:
    """Return the words of a command on data alone: task=NAME, a group of training, sets its key `for_task`."""
    return [re.sub(r"^task=", "for_task=", word) for word in words]


def with_splits(word: str) -> str:
    """Return an override of `dataset.splits` with the names train, valid and test, whatever words it has for them."""
    key, equals, value = word.partition("=")
    if key.lstrip("+") == "dataset.splits":
        renamed = re.sub(rf"(?<=[{{,])(\s*)({_SPLIT})(?=\s*:)", lambda found: found[1] + ALIASES[found[2]], value)
        return f"{key}={renamed}"
    section, _, name = key.rpartition(".")
    if section.lstrip("+") == "dataset.splits" and name in ALIASES:
        return f"{section}.{ALIASES[name]}{equals}{value}"
    return word


def quoted(word: str) -> str:
    """Return an override with its paths in quotes if they begin with `~` or look like numbers.

    Hydra's grammar takes no bare `~`, and reads 2018_05 as 201805. A list of paths and a sweep over paths count too.
    Raises UserError for an empty path: it would mean the current folder, or nothing at all.
    """
    key, equals, value = word.partition("=")
    section, _, name = key.lstrip("+").rpartition(".")
    is_path = name in PATHS and (name not in ("encoder", "model") or section == "weights")
    if not equals or not is_path:
        return word
    if value.strip() in ("", "''", '""'):
        raise UserError(f"{key}= is empty; give a path, or leave it out")
    if re.search("[\"'{(]", value):
        return word
    listed = re.fullmatch(r"\[(.*)\]", value)
    paths = [_in_quotes(path.strip()) for path in (listed[1] if listed else value).split(",")]
    return f"{key}=[{','.join(paths)}]" if listed else f"{key}={','.join(paths)}"


def _in_quotes(path: str) -> str:
    if path.startswith("~"):
        expand(path)  # refuses the home of an unknown user before a folder is made of it
    return f"'{path}'" if path.startswith("~") or NUMBER.fullmatch(path) else path


def plain(words: Any, section: str) -> list[str]:
    """Return the overrides if each sets a key below `section` to numbers, words, or lists and mappings of them.

    Raise UserError otherwise: no `_target_` however deep, no interpolation, no function, no sweep, no other section.
    """
    if not isinstance(words, list) or not all(isinstance(word, str) and len(word) < 10_000 for word in words):
        raise UserError(
            f"the recorded settings of {section} are not of the expected form; choose {section}=... yourself"
        )
    for word in words:
        if not _is_plain(word, section):
            raise UserError(
                f"the recorded setting {word[:80]!r} is more than a plain value; choose {section}=... yourself"
            )
    return list(words)


def _is_plain(word: str, section: str) -> bool:
    key, equals, _ = word.partition("=")
    if not equals or not KEY.fullmatch(key) or key.split(".")[0] != section or "${" in word:
        return False
    try:
        override = OverridesParser.create().parse_override(word)
        return not override.is_sweep_override() and _is_data(override._value)  # value() may call functions
    except (HydraException, RecursionError, ValueError):
        return False


def _is_data(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_name(key) and _is_data(inner) for key, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(_is_data(inner) for inner in value)
    return value is None or isinstance(value, bool | int | float | str | QuotedString)


def _is_name(key: Any) -> bool:
    text = key.text if isinstance(key, QuotedString) else str(key)
    return not text.startswith("_")
