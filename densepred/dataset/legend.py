"""Names, colours and ids of the classes: from classes.json, from the settings, or from the masks themselves."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from densepred.dataset import class_file, smoothed
from densepred.dataset.class_file import Entry
from densepred.dataset.image_header import SAMPLED
from densepred.dataset.labels import IN_COLOURS, Labels, number
from densepred.dataset.mask import has_palette, read_mask_palette, read_mask_void
from densepred.dataset.nodata import declared
from densepred.dataset.numbering import SHOWN, numbering
from densepred.dataset.palette import Colour, PaletteRecord, default_palette, parse_palette
from densepred.errors import Misfit, Notice
from densepred.types import VOID, UserError

NUMBERED = 3  # different highest ids from which masks that leave none out seem to number instances
SCANNED = 400  # up to twice as many masks are read, which takes a few seconds


@dataclass(frozen=True, slots=True)
class Legend:
    """The classes to train on, their colours, and the ids or colours that stand for them in masks."""

    palette: tuple[Colour, ...]
    labels: Labels

    def with_palettes(self, palettes: PaletteRecord) -> Legend:
        """Return the legend with the colours of ids against which masks are checked."""
        return replace(self, labels=replace(self.labels, palettes=palettes))


def from_json(
    path: Path, ignore_index: int | None, label_map: Mapping[int, int], unlabelled: int | None = None
) -> Legend:
    """Read classes.json, see `class_file`. Only names are required.

    Raises UserError if the file is damaged, or if two classes have the same id or name.
    """
    entries, own = class_file.read(path, unlabelled)
    return from_entries(entries, path, {own, ignore_index, unlabelled}, label_map)


def from_entries(entries: Sequence[Entry], path: Path, void: set[int | None], label_map: Mapping[int, int]) -> Legend:
    """Return the legend of classes that the file `path` lists; `void` are ids of void pixels."""
    for field, index in (("id", 0), ("name", 1)):
        (value, times), *_ = Counter(entry[index] for entry in entries).most_common(1) or [(None, 0)]
        if times > 1:
            raise UserError(f"{path}: the {field} {value!r} is given twice; give each class its own")
    ignored = {value for value, _, _, ignore in entries if ignore}
    ignored |= {value for value in void if value is not None}
    return _legend(entries, ignored, label_map, path)


def _legend(entries: Sequence[Entry], ignored: set[int], label_map: Mapping[int, int], path: Path) -> Legend:
    kept = [entry for entry in entries if entry[0] not in ignored]
    if not kept:
        raise UserError(f"{path}: every class is ignored; keep at least one")
    mapping = number([value for value, *_ in kept], ignored, label_map)
    times = Counter(colour for _, _, colour, _ in entries)
    colours = {colour: mapping[value] for value, _, colour, _ in entries if colour is not None and times[colour] == 1}
    shared = frozenset(colour for colour, count in times.items() if colour is not None and count > 1)
    defaults = default_palette(len(kept))
    palette = tuple(colour or defaults[index] for index, (_, _, colour, _) in enumerate(kept))
    return Legend(palette, Labels(tuple(name for _, name, _, _ in kept), mapping, colours, shared))


def from_settings(
    classes: Sequence[str] | int,
    ignore_index: int | None,
    label_map: Mapping[int, int],
    palette: Sequence[Sequence[int]] | None = None,
    unlabelled: int | None = None,
) -> Legend:
    """Take the names in the order of their ids, or number the classes. With a palette, masks may hold its colours.

    The id `unlabelled` is void and no class's: with 0, the ids of classes begin at 1.
    """
    names = tuple(f"class_{i}" for i in range(classes)) if isinstance(classes, int) else tuple(map(str, classes))
    if not names or len(set(names)) < len(names):
        raise UserError(f"dataset.classes: {list(names)}; give different names, or a count above 0")
    ids = [value for value in range(len(names) + 1) if value != unlabelled][: len(names)]
    if ignore_index in ids:
        raise UserError(
            f"dataset.ignore_index: {ignore_index} is also class {names[ids.index(ignore_index)]!r}; choose an id that "
            f"is no class's, or add 'dataset.label_map={{{ignore_index}: {VOID}}}'"
        )
    ignored = {value for value in (ignore_index, unlabelled) if value is not None}
    mapping = number(ids, ignored, label_map)
    if palette is None:
        return Legend(default_palette(len(names)), Labels(names, mapping))
    colours = parse_palette(palette, len(names))
    if len(set(colours)) < len(colours):
        raise UserError("dataset.palette: two classes have the same colour; give each its own")
    return Legend(colours, Labels(names, mapping, {colour: mapping[i] for i, colour in zip(ids, colours, strict=True)}))


def from_masks(
    masks: Sequence[Path],
    ignore_index: int | None,
    label_map: Mapping[int, int],
    limit: int,
    unlabelled: int | None = None,
) -> Legend:
    """Count the classes in an evenly spread sample of masks.

    Raises UserError unless the ids, after `label_map`, are 0, 1, ... without gaps and palettes agree. With an id
    `unlabelled`, the others are numbered in their order.
    """
    found: dict[int, Path] = {}
    palettes, highest, each, empty = PaletteRecord(), list[int | None](), list[frozenset[int]](), False
    for path in masks[:: max(1, len(masks) // SCANNED)]:
        mask, palette, void = read_mask_void(path, limit, label_map)
        empty |= void is not None and declared(path) == 0
        if palette is not None:
            palettes.add(mask, palette, path)
        if mask.ndim == 3 and (mask != mask[..., :1]).any():
            raise Misfit(f"{path}: {IN_COLOURS}", "colour_masks")
        smoothed.refuse(mask, path)
        held = mask if void is None else mask[~void]
        values = [value for value in np.unique(held).tolist() if value not in (ignore_index, unlabelled)]
        each.append(frozenset(values))
        if values:
            highest.append(values[-1] if values == list(range(len(values))) else None)
        for value in values:
            found.setdefault(value, path)
    if masks and not found:
        raise UserError(f"{masks[0]}: it and the other masks hold void alone; correct dataset.ignore_index")
    if unlabelled is None and empty and 0 not in found:
        unlabelled = 0  # classes begin at 1, below them is no data
    if unlabelled is not None:
        return _numbered(sorted(found), {ignore_index, unlabelled}, label_map).with_palettes(palettes)
    ids = sorted({label_map.get(value, value) for value in found} - {VOID} | set(label_map.values()) - {VOID})
    raw_void = VOID in found and VOID not in label_map
    if not raw_void and ids == list(range(len(ids))):
        if not label_map:
            doubt_ids(highest, found)
        return from_settings(len(ids), ignore_index, label_map).with_palettes(palettes)
    raise Misfit(_of_gap(found, each, bool(label_map)), "gaps_in_labels", sorted(found))


def sampled_palettes(masks: Sequence[Path], limit: int) -> PaletteRecord:
    """Return the colours of ids in an evenly spread sample of masks; those that cannot be read are passed over.

    Raises UserError if two masks of the sample contradict one another.
    """
    found = PaletteRecord()
    for path in masks[:: max(1, len(masks) // SAMPLED)]:
        try:
            mask, palette = read_mask_palette(path, limit) if has_palette(path, limit) else (None, None)
        except UserError:  # which reading the sample tells
            continue
        if mask is not None and palette is not None:
            found.add(mask, palette, path)
    return found


def _numbered(ids: Sequence[int], void: set[int | None], label_map: Mapping[int, int]) -> Legend:
    """Return a class per id that is not in `label_map`, called after the id, with a notice if ids are missing."""
    kept = [value for value in ids if value not in label_map]
    if not kept:
        raise UserError("dataset.unlabelled: the masks hold no other id; correct it, or give dataset.classes")
    mapping = number(kept, {value for value in void if value is not None}, label_map)
    names = tuple(f"class_{value}" for value in kept)
    missing = sorted({*range(min(kept), max(kept))} - {*kept, *label_map, *void})
    if missing:
        few = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        text = f"the masks that were searched lack {len(missing)} ids below {max(kept)} ({few}), which are no classes"
        warnings.warn(f"dataset.unlabelled: {text}; dataset.classes={max(kept)} keeps them", Notice, stacklevel=3)
    return Legend(default_palette(len(names)), Labels(names, mapping))


def doubt_ids(highest: Sequence[int | None], found: Mapping[int, Path]) -> None:
    """Issue a notice if each mask counts from 0 to a number of its own, as maps of instances do.

    highest: per mask its highest id, None if it leaves out a lower one; found: a mask with each id
    """
    known = {value for value in highest if value is not None}
    if None not in highest and len(known) >= NUMBERED and max(known) > NUMBERED:
        text = (
            f"each holds all ids from 0 to a highest one, which is {min(known)} to {max(known)}, as if they numbered "
            f"instances; all of them are read as {len(found)} classes. For instances take dataset=instance_folder with "
            "task=instance_center"
        )
        warnings.warn(f"{found[max(known)]}: it and the other masks: {text}", Notice, stacklevel=3)


def _of_gap(found: Mapping[int, Path], each: Sequence[frozenset[int]], mapped: bool) -> str:
    """Return the message about ids that do not count classes; `mapped`: not even by the label_map that is typed."""
    if mapped:
        values = sorted(found)
        few = ", ".join(map(str, values[:SHOWN])) + (", ..." if len(values) > SHOWN else "")
        text = "leaves gaps or 255 among the classes; give each id a class, 255 for void, or name dataset.classes"
        return f"{found[values[-1]]}: masks hold the ids {few}, and dataset.label_map {text}"
    meaning = numbering(each)
    odd = max(meaning.odd, default=max(found))
    return f"{found[odd]}: {meaning.fact}; {meaning.remedy()}"
