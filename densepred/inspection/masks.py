"""Masks that a dataset of folders refuses: labels of all of them, and the settings that read them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import numpy as np

from densepred import home
from densepred.build.instantiate import build
from densepred.dataset import smoothed
from densepred.dataset.folder import Folder
from densepred.dataset.mask import read_mask
from densepred.dataset.numbering import numbering
from densepred.dataset.pair_search import PairSearch
from densepred.errors import UserError
from densepred.inspection.finding import Finding
from densepred.inspection.override import typed
from densepred.output import many
from densepred.types import MAX_CLASSES, VOID

MANY = 64
"""Colours from which only those count that fill a square of 3 x 3 pixels: the others are blends along edges."""
EMPTY: Mapping[int, int] = {}

Node = Mapping[str, Any]
Read = Callable[[Callable[[Any], Any], Sequence[Any], str], list[Any]]
"""Apply a function to each of some items, in processes and with a title."""


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """Labels of one mask: ids, or pixels per colour 0xRRGGBB. A damaged one has its `error` only."""

    path: str
    error: str | None = None
    ids: frozenset[int] = frozenset()
    colours: Mapping[int, int] = field(default_factory=dict)
    blended: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A fault of the masks with the settings that read them, `needed` as few as must be typed, and `classes` beside."""

    kind: str
    fact: str
    needed: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    samples: tuple[str, ...] = ()
    remedy: str = "give the classes of these labels"

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the dataset with which no mask is read before its sample is."""
        return {**({} if self.classes is None else {"classes": self.classes}), **self.needed}

    @property
    def table(self) -> dict[str, Any] | None:
        """Content of a classes.json for masks in colours."""
        if "palette" not in self.needed:
            return None
        rows = zip(self.needed["classes"], self.needed["palette"], strict=True)
        return {"classes": [{"id": index, "name": name, "color": rgb} for index, (name, rgb) in enumerate(rows)]}

    def finding(self) -> Finding:
        words = " ".join(typed(f"dataset.{key}", value) for key, value in self.needed.items())
        return Finding("error", self.kind, self.fact, self.remedy, self.samples, words)


def survey(node: Node, splits: Collection[str], read: Read) -> Diagnosis | None:
    """Read the masks of all splits of a dataset of folders; None if it is another dataset, or nothing is wrong."""
    kind = getattr(build(dict(node), None, "dataset"), "func", None)
    if not (isinstance(kind, type) and issubclass(kind, Folder)) or node.get("masks") is None:
        return None
    kept = {entry.name: node[entry.name] for entry in fields(PairSearch) if entry.name in node}
    paths = dict.fromkeys(path for split in splits for path in _of_split(kept, split))
    facts = read(partial(look, limit=node["max_pixels"]), list(paths), "masks")
    return diagnose(facts, _typed(node), str(node["root"]))


def _typed(node: Node) -> dict[int, int]:
    """Return the labels with a meaning that is typed."""
    void = (node.get("ignore_index"), node.get("unlabelled"))
    return {value: VOID for value in void if value is not None} | dict(node.get("label_map") or {})


def _of_split(kept: Mapping[str, Any], split: str) -> list[str]:
    settings: dict[str, Any] = {**kept, "split": split}
    search = PairSearch(**settings)
    try:
        search.find_pairs()
    except UserError:  # the split is a finding of its own
        return []
    return [str(pair.mask) for pair in search.pairs if pair.mask is not None]


def look(path: str, limit: int) -> MaskFacts:
    """Read the labels of one mask."""
    try:
        mask = read_mask(path, limit)
    except UserError as error:
        return MaskFacts(path, str(error))
    if mask.ndim == 3 and (mask != mask[..., :1]).any():
        return MaskFacts(path, colours=colours(mask))
    values = mask[..., 0] if mask.ndim == 3 else mask
    return MaskFacts(path, ids=frozenset(np.unique(values).tolist()), blended=bool(smoothed.in_between(values)))


def colours(mask: np.ndarray) -> dict[int, int]:
    """Return the pixels of each colour 0xRRGGBB of a mask (H, W, 3) uint8; of many, those with an area only."""
    codes = mask.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    found = np.unique(codes, return_counts=True)
    if len(found[0]) > MANY and min(codes.shape) >= 3:
        windows = np.lib.stride_tricks.sliding_window_view(codes, (3, 3))
        alike = (windows == codes[1:-1, 1:-1, None, None]).all((2, 3))
        found = np.unique(codes[1:-1, 1:-1][alike], return_counts=True)
    return dict(zip(found[0].tolist(), found[1].tolist(), strict=True))


def diagnose(facts: Iterable[MaskFacts], known: Mapping[int, int] = EMPTY, root: str = "DIR") -> Diagnosis | None:
    """Return the worst fault of the masks; None if all of them are damaged.

    known: classes of labels as typed, with which no other label is diagnosed
    root: folder of the dataset, for the commands of the remedies
    """
    read = [one for one in facts if one.error is None]
    if coloured := [one for one in read if one.colours]:
        return _in_colours(coloured, len(read), root)
    blended = tuple(one.path for one in read if one.blended)
    ids = sorted({value for one in read for value in one.ids})
    if blended:
        return _blended(blended, ids, len(read))
    if known:
        classes = {known.get(value, value) for value in ids} - {VOID}
        return Diagnosis("", "", classes=max(classes) + 1) if classes else None
    return _numbered(read)


def _in_colours(read: Sequence[MaskFacts], masks: int, root: str) -> Diagnosis:
    table = sorted({colour for one in read for colour in one.colours})
    paths = tuple(one.path for one in read)
    fact = f"{len(read)} of {masks} masks are coded by {many(len(table), 'colour')}"
    if len(table) > MAX_CLASSES:
        remedy = "they may number instances or be photographs; give dataset.masks the folder of masks"
        return Diagnosis("colour_masks", f"{fact}, more than {MAX_CLASSES} classes", samples=paths, remedy=remedy)
    names = [f"color_{colour:06x}" for colour in table]
    rgb = [[colour >> 16, colour >> 8 & 255, colour & 255] for colour in table]
    word = home.typed("classes_json", f"{root}/classes.json")
    remedy = f"give the classes their colours: densepred-check with {word} writes the table, with names to edit"
    return Diagnosis("colour_masks", fact, {"classes": names, "palette": rgb}, samples=paths, remedy=remedy)


def _blended(paths: tuple[str, ...], ids: Sequence[int], masks: int) -> Diagnosis:
    """Separate two labels at half of the highest one, as an image program does that smooths."""
    half = ids[-1] / 2
    label_map = {value: int(value >= half) for value in ids}
    fact = (
        f"{len(paths)} of {masks} masks are anti-aliased: along the edges they hold values between their labels "
        f"({many(len(ids), 'value')} in all)"
    )
    return Diagnosis("blended_masks", fact, {"classes": 2, "label_map": label_map}, samples=paths)


def _numbered(read: Sequence[MaskFacts]) -> Diagnosis | None:
    """Diagnose ids other than 0, 1, ..."""
    found = numbering([one.ids for one in read])
    if not found.kind:
        return Diagnosis("", "", classes=found.classes) if found.classes else None
    odd = tuple(one.path for one in read if one.ids & found.odd)
    return Diagnosis(found.kind, found.fact, found.needed, found.classes, odd, found.remedy())
