"""Bounds of YAML files that are not densepred's own, checked before they are built: text, depth, expansion."""

from __future__ import annotations

import contextlib
from pathlib import Path

import yaml

from densepred.errors import UserError

DEPTH = 50
LARGEST = 10 * 2**20
"""Bytes of a file."""
MOST = 100_000
"""Values of a file with its aliases written out. A kilobyte of nested aliases can stand for 10^9 of them."""


def check(path: Path) -> None:
    """Raise UserError unless a file is UTF-8 of bounded size, depth and number of values.

    Mistakes of YAML's syntax are left to the reader that follows, which names the file and the line.
    """
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: has more than {LARGEST >> 20} MB; give a smaller file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is no text in UTF-8 (byte {error.start}); save it as UTF-8") from error
    with contextlib.suppress(yaml.YAMLError):
        _check_values(path, text)


def _check_values(path: Path, text: str) -> None:
    """Raise UserError if values are nested too deep, or are too many with their aliases written out."""
    sizes, open_ = dict[str, int](), [("", 0)]  # the anchors and values of the collections around an event
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        anchor, size = getattr(event, "anchor", None) or "", 1
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((anchor, 0))
            if len(open_) > DEPTH:
                raise UserError(f"{path}: is nested more than {DEPTH} deep; check its brackets and indentation")
            continue
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == name for name, _ in open_):
                raise UserError(f"{path}: *{anchor} stands inside &{anchor}, without end; write the values")
            size = sizes.get(anchor, 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, inside = open_.pop()
            size = sizes[anchor] = inside + 1
        elif isinstance(event, yaml.ScalarEvent):
            sizes[anchor] = 1
        else:
            continue
        open_[-1] = (open_[-1][0], open_[-1][1] + size)
        if open_[-1][1] > MOST:
            raise UserError(f"{path}: stands for more than {MOST} values; write less, and fewer aliases (*name)")
