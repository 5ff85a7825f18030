"""An error about a dataset's folders, with the words that read the layout that is there instead."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from densepred.dataset import layout_json, layout_official, layout_pairs, layout_tools, layout_unread
from densepred.dataset.layout_tree import Found, Tree, listed
from densepred.dataset.paths import Unlisted
from densepred.errors import Misfit, UserError

GENERAL = ("folder", "instance_folder")
"""Datasets that read whatever pairs of images and masks there are: the files may say more."""


class OtherLayout(Misfit):
    """Another layout is there than the one that was typed; `words` are overrides that read it, "" if none do."""

    def __init__(self, message: str, words: str) -> None:
        super().__init__(message, "layout")
        self.words = words


def explained(error: UserError, root: Path, option: str) -> UserError:
    """Return the error with the words that read the folder in place of its remedy, if the layout is known.

    The layout of the dataset that was typed goes before others. A missing list beside others is no other layout.
    option: the dataset that was typed
    """
    if isinstance(error, Unlisted):
        return error
    try:
        found = next(known(listed(root), option), None)
        if found is not None and option not in GENERAL:
            found = next(filter(partial(_is_of, option), known(listed(root), option)), found)
    except OSError:
        return error
    if found is None:
        return error
    fact = str(error).rpartition("; ")[0] or str(error)
    remedy = found.words.strip()
    if not found.read:
        return OtherLayout(f"{fact}; this looks like {found.what}; {remedy}", "")
    return OtherLayout(f"{fact}; this looks like {found.what}: type {remedy}", remedy)


def _is_of(option: str, found: Found) -> bool:
    return found.read and found.words.split()[0] == f"dataset={option}"


def known(tree: Tree, option: str) -> Iterator[Found]:
    """Yield the layouts that fit, the most specific first."""
    yield from layout_official.layouts(tree)
    yield from layout_json.layouts(tree)
    yield from layout_tools.layouts(tree)
    yield from layout_unread.layouts(tree)
    yield from layout_pairs.layouts(tree, option)
    yield from layout_json.without_images(tree)
