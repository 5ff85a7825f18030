"""Forms of annotation programs other than plain JSON, recognised by their content, and the words that read them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from densepred.dataset.layout_tree import LARGEST, TOKEN, Found, Tree, per_split, split_of

SEVERAL = 50
"""Files of a kind that are opened at most."""


def layouts(tree: Tree) -> Iterator[Found]:
    """Yield the words that read the files of a folder."""
    for what, look in TOOLS.items():
        if words := look(tree):
            yield Found(what, words)


def cvat_files(tree: Tree) -> list[str]:
    """Return CVAT's XML files, each of many images; VOC has one per image."""
    names = [name for name in tree.files if name.lower().endswith(".xml")]
    return [name for name in names[:SEVERAL] if b"<annotations>" in tree.beginning(name)]


def is_of_video(tree: Tree, name: str) -> bool:
    """Tell if an XML file of CVAT holds the tracks of a video."""
    return b"<track" in tree.beginning(name)


def _cvat(tree: Tree) -> str | None:
    names = cvat_files(tree)
    if not names or is_of_video(tree, names[0]):
        return None
    subsets = {one.decode().lower() for one in re.findall(rb' subset="(\w+)"', tree.beginning(names[0], LARGEST))}
    splits = {split_of(word) for word in subsets if TOKEN.fullmatch(word)}
    return "dataset=cvat" if names == ["annotations.xml"] and {"train", "valid"} <= splits else per_split(names, "cvat")


TOOLS: dict[str, Callable[[Tree], str | None]] = {"CVAT's XML": _cvat}
