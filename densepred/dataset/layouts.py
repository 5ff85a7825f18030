"""An error about a dataset's folders, with the words that read the layout that is there instead."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath

from densepred.dataset import layout_json, layout_official, layout_pairs, layout_tools, layout_unread
from densepred.dataset.layout_tree import Found, Tree, listed, quoted
from densepred.dataset.paths import Unlisted
from densepred.errors import Misfit, UserError

GENERAL = ("folder", "instance_folder")
"""Datasets that read whatever pairs of images and masks there are: the files may say more."""
OF_MACS = "__MACOSX"
"""A folder that archives of Macs hold beside their own."""


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
    yield from _marked(tree)
    inner = _only_folder(tree)
    if inner != tree.root:
        yield from (_rooted(found, inner) for found in _marked(listed(inner)))
    yield from layout_unread.layouts(tree)
    yield from layout_pairs.layouts(tree, option)
    yield from layout_json.without_images(tree)


def _marked(tree: Tree) -> Iterator[Found]:
    """Yield the layouts of published datasets and of programs that densepred reads."""
    yield from layout_official.layouts(tree)
    yield from layout_json.layouts(tree)
    yield from layout_tools.layouts(tree)


def _only_folder(tree: Tree) -> Path:
    """Return the folder that alone lies in the root, or in the only folder there, as an unpacked archive leaves it."""
    place = PurePosixPath()
    while True:
        inside = [one for name in (*tree.folders, *tree.files) if (one := PurePosixPath(name)).parent == place]
        folders = [one for one in inside if one.name != OF_MACS]
        if len(folders) != 1 or folders[0].as_posix() not in tree.folders:
            return tree.root / place
        place = folders[0]


def _rooted(found: Found, root: Path) -> Found:
    """Return the layout with the root that its words are about."""
    option, _, others = found.words.partition(" ")
    words = f"{option} {quoted('dataset.root', str(root))} {others}".strip() if found.read else found.words
    return Found(f"{found.what} in {root.name}", words, found.read)
