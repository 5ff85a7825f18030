"""Overrides that are stored in a file: accepted as data, never as code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException

from densepred.errors import UserError

KEY = re.compile(r"[a-zA-Z]\w*(\.[a-zA-Z]\w*)+", re.ASCII)


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
