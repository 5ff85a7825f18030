"""Images and maps of instance ids in folders, or in a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from densepred.contracts import Dataset
from densepred.dataset.idmap import annotate, read_ids
from densepred.dataset.listing import Pair
from densepred.dataset.palette import Colour, voc_palette
from densepred.dataset.raster import MAX_PIXELS
from densepred.dataset.reader import EXIF, Reader, most_channels, statistics
from densepred.dataset.source import Source
from densepred.nn import choose
from densepred.types import MAX_CLASSES, VOID, Annotation, Frame, Info, Sample, UserError

PEEKED = 8  # maps looked into for ids, before a run


class InstanceFolder(Dataset):
    """As `folder`, but masks number the instances: 0 is none, other ids need not be consecutive.

    With one thing and no `divisor` every other id is an instance of it. With a `divisor` the class of an id is
    id // divisor; an id of a thing whose rest is 0 is a crowd, a group that nobody separated. `ignore_index` is the
    id of pixels that nobody knows, `label_map` takes further values of id // divisor to classes, or to 255 for void.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str | float] | None = None,
        images: str = "images/{split}",
        masks: str | None = "instances/{split}",
        mask_suffix: str = "",
        list: str | None = None,
        classes: Sequence[str] = ("background", "object"),
        things: Sequence[str | int] | None = None,
        divisor: int | None = None,
        palette: Sequence[Sequence[int]] | None = None,
        ignore_index: int | None = None,
        label_map: Mapping[int, int] | None = None,
        channels: int | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        exif: str = "auto",
        seed: int = 0,
        group: str | None = None,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        if exif not in EXIF:
            raise UserError(f"dataset.exif: {exif!r}; choose one of {', '.join(EXIF)}")
        names = _names(classes)
        self.things = _things(things, names)
        self.divisor, self.ignore_index, self.max_pixels = divisor, ignore_index, max_pixels
        self._classes = _classes_by_number(label_map, len(names))
        self._check_rule(names, label_map)
        source = Source(Path(root), images, masks, mask_suffix, list, splits, seed, group)
        self.pairs = source.pairs(split)

        # How images are read must not depend on the split that is asked for
        train = source.pairs("train") if split != "train" and source.has_training() else self.pairs
        self._refuse_plain_masks(train)
        channels = most_channels(train, max_pixels) if channels is None else channels
        if mean is None or std is None:
            found = statistics(train, channels, max_pixels)
            mean, std = found[0] if mean is None else mean, found[1] if std is None else std
        self.info = Info(
            classes=() if masks is None else names,
            things=() if masks is None else self.things,
            palette=() if masks is None else _palette(palette, len(names)),
            channels=channels,
            mean=tuple(mean),
            std=tuple(std),
            provides=() if masks is None else ("semantic", "instances", "categories", "boxes", "areas", "crowd"),
        )
        self._read = Reader(None, channels, max_pixels, exif)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        if pair.mask is None:
            return self._read(pair)
        truth = self._truth(pair.mask)
        image = self._read.image(pair.image, truth.size, f"the map {pair.mask}")
        return Sample(image, truth, Frame(pair.id, truth.size))

    def _truth(self, path: Path) -> Annotation:
        return annotate(read_ids(path, self.max_pixels), lambda ids: self._kinds(ids, path), self.things)

    def _kinds(self, ids: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
        void = ids == (-1 if self.ignore_index is None else self.ignore_index)
        if self.divisor is None:
            classes = np.where(ids > 0, self.things[0], 0)
            return np.where(void, VOID, classes), np.zeros(len(ids), bool)
        classes = np.array([self._classes.get(int(number), -1) for number in ids // self.divisor], np.int64)
        classes[void] = VOID
        if (classes < 0).any():
            raise self._unknown(path, int(ids[classes < 0][0]))
        return classes, ids % self.divisor == 0

    def _unknown(self, path: Path, id: int) -> UserError:
        assert self.divisor is not None
        number, known = id // self.divisor, sorted(self._classes)
        shown = ", ".join(map(str, known[:8])) + (", ..." if len(known) > 8 else "")
        return UserError(
            f"{path}: the id {id} is of class {id} // {self.divisor} = {number}, but there are {shown}; correct it, "
            f"set dataset.divisor or dataset.ignore_index, or add 'dataset.label_map={{{number}: CLASS}}' (255: void)"
        )

    def _check_rule(self, names: Sequence[str], label_map: Mapping[int, int] | None) -> None:
        if self.divisor is not None and self.divisor < 2:
            raise UserError(f"dataset.divisor: {self.divisor}; give 2 or more, as 1000, or null for a single class")
        if self.divisor is None and (len(names) != 2 or len(self.things) != 1):
            raise UserError(
                f"dataset.classes: {len(names)} classes, {len(self.things)} of them things, need a rule that takes ids "
                "to classes; set dataset.divisor (class = id // divisor), or name the background and one thing"
            )
        if self.divisor is None and self.things != (1,):
            raise UserError(f"dataset.things: {names[0]!r} is what lies around instances; make it the second class")
        if self.divisor is None and label_map:
            raise UserError("dataset.label_map: takes id // divisor to classes; set dataset.divisor, or remove it")
        if self.ignore_index is not None and self.ignore_index < 0:
            raise UserError(
                f"dataset.ignore_index: {self.ignore_index}; ids are 0 and above; give one of these or null"
            )

    def _refuse_plain_masks(self, pairs: Sequence[Pair]) -> None:
        """Masks of 0 and 255 tell objects from what is around them, but not from one another."""
        peeked = [pair.mask for pair in pairs[:: max(1, len(pairs) // PEEKED)] if pair.mask is not None][:PEEKED]
        found = {int(id) for path in peeked for id in np.unique(read_ids(path, self.max_pixels))}
        if found == {0, 255} and self.ignore_index != 255:
            raise UserError(
                f"{peeked[0]}: it and others hold nothing but 0 and 255: masks, not ids; number the instances 1, 2, "
                "..., or use dataset=folder with 'dataset.label_map={255: 1}'"
            )


def _names(classes: Sequence[str]) -> tuple[str, ...]:
    names = tuple(map(str, classes)) if not isinstance(classes, str | int) else ()
    if len(set(names)) < max(2, len(names)) or len(names) > MAX_CLASSES:
        raise UserError(
            f"dataset.classes: {classes}; give different names, 2 to {MAX_CLASSES}, what lies around instances first"
        )
    return names


def _things(things: Sequence[str | int] | None, names: tuple[str, ...]) -> tuple[int, ...]:
    """Which classes come in instances: by name or number; all but the first where nothing is said."""
    if things is None:
        return tuple(range(1, len(names)))
    out = set()
    for thing in things:
        if isinstance(thing, str):
            choose("class in dataset.things", thing, names)
        elif not 0 <= thing < len(names):
            raise UserError(f"dataset.things: {thing}; give names, or numbers from 0 to {len(names) - 1}")
        out.add(names.index(thing) if isinstance(thing, str) else int(thing))
    return tuple(sorted(out))


def _classes_by_number(label_map: Mapping[int, int] | None, count: int) -> dict[int, int]:
    """What id // divisor may be, and the class that it means."""
    try:
        given = {int(number): int(label) for number, label in (label_map or {}).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"dataset.label_map: {label_map}; give classes as {{11: 1}}") from error
    for number, label in given.items():
        if number < 0 or not (0 <= label < count or label == VOID):
            raise UserError(
                f"dataset.label_map: {number} -> {label}; give numbers of 0 or more and classes from 0 to {count - 1}, "
                f"or {VOID} for void"
            )
    return dict(zip(range(count), range(count), strict=True)) | given


def _palette(palette: Sequence[Sequence[int]] | None, count: int) -> tuple[Colour, ...]:
    if palette is None:
        return tuple(voc_palette(count))
    if len(palette) != count or any(len(colour) != 3 for colour in palette):
        raise UserError(f"dataset.palette: {len(palette)} colours for {count} classes; give [red, green, blue] of each")
    return tuple((int(red), int(green), int(blue)) for red, green, blue in palette)
