"""Cases of a folder of volumes: the files of the channels, the file of the labels, and what training volumes hold."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densepred.dataset.facts import counted
from densepred.dataset.intensity import Window, limits, windowed
from densepred.dataset.legend import doubt_ids
from densepred.dataset.nifti_file import Volume, check_alike, is_volume, read_header, stem
from densepred.errors import Misfit, Notice, UserError
from densepred.types import VOID

CHANNEL = re.compile(r"(.+)_(\d{4})", re.ASCII)
"""nnU-Net's end of the name of a channel."""
SAMPLED = 32
"""At least as many slices, and volumes of labels, are read before a run, and fewer than twice as many."""
DARK, BRIGHT = 0.5, 99.5
"""Percentiles of the training values that become black and white, as nnU-Net clips CT (arXiv 1904.08128)."""


@dataclass(frozen=True, slots=True)
class Case:
    """The volumes of one case, on the same grid."""

    name: str
    images: tuple[Volume, ...]
    mask: Volume

    @property
    def shape(self) -> tuple[int, ...]:
        return self.mask.shape

    @property
    def channels(self) -> int:
        return sum(image.channels for image in self.images)

    def slice(self, axis: int, number: int) -> np.ndarray:
        """Return the values of a slice, (H, W, channels) float32."""
        return np.concatenate([image.slice(axis, number).astype(np.float32) for image in self.images], 2)


def find(images: Path, masks: Path, axis: int, max_pixels: int, unpaired: str) -> list[Case]:
    """Return the cases of two folders in the order of their names. Raises UserError if volumes do not fit."""
    files, labels = _volumes(images, "images"), {stem(path): path for path in _volumes(masks, "masks")}
    groups: dict[str, list[Path]] = {}
    for path in files:
        name, numbered = stem(path), CHANNEL.fullmatch(stem(path))
        groups.setdefault(numbered[1] if numbered and name not in labels else name, []).append(path)
    _check_partners(groups, labels, images, unpaired)
    names = sorted(groups.keys() & labels)
    heads = {name: tuple(read_header(path, axis, max_pixels) for path in groups[name]) for name in names}
    found = [Case(name, heads[name], read_header(labels[name], axis, max_pixels)) for name in names]
    for case in found:
        for image in case.images:
            check_alike(image, case.mask)
        if case.mask.channels > 1 or case.channels != found[0].channels:
            raise UserError(
                f"{case.mask.path}: the case has {case.channels} channels and {case.mask.channels} of labels, "
                f"{found[0].name} has {found[0].channels}; give each case the same channels, and one volume of labels"
            )
    return found


def _volumes(folder: Path, key: str) -> list[Path]:
    found = sorted(path for path in folder.glob("*") if is_volume(path) and not path.name.startswith("."))
    if not found:
        raise UserError(f"{folder}: holds no .nii or .nii.gz; check dataset.root, dataset.{key} and dataset.splits")
    names = Counter(stem(path) for path in found)
    if twice := [path.name for path in found if names[stem(path)] > 1]:
        more = f" (and {counted(len(twice) - 2, 'files likewise')})" if len(twice) > 2 else ""
        both = " and ".join(twice[:2])
        raise UserError(f"{folder}: {both} have one name{more}; remove one, or move it elsewhere")
    return found


def _check_partners(groups: Mapping[str, list[Path]], labels: Mapping[str, Path], images: Path, unpaired: str) -> None:
    alone, lonely = sorted(groups.keys() - labels), sorted(labels.keys() - groups)
    if not alone and not lonely:
        return
    counts = f"{counted(len(alone), 'cases')} without labels, {counted(len(lonely), 'labels')} without a case"
    fact = f"{images}: {counts} ({(alone + lonely)[0]!r})"
    if unpaired == "refuse" or not groups.keys() & labels:
        names = [*(str(groups[name][0]) for name in alone), *(str(labels[name]) for name in lonely)]
        raise Misfit(f"{fact}; add them, or type dataset.unpaired=skip to leave them out", "unpaired", names=names)
    warnings.warn(f"{fact} left out (dataset.unpaired=skip)", Notice, stacklevel=2)


def whole(values: np.ndarray, path: Path) -> np.ndarray:
    """Return labels as integers. Raises UserError for fractions."""
    if not np.isfinite(values).all() or (values != np.round(values)).any():
        raise UserError(f"{path}: its labels hold fractions; save class ids as whole numbers")
    return values.astype(np.int64)


def _labels(case: Case, number: int) -> np.ndarray:
    return whole(case.mask.slice(2, number), case.mask.path)


def count_classes(cases: Sequence[Case], ignore_index: int | None, label_map: Mapping[int, int]) -> int:
    """Return the number of classes in a sample of label volumes, of which the ids are 0, 1, ... without gaps."""
    found, highest = dict[int, Path](), list[int | None]()
    for case in cases[:: max(1, len(cases) // SAMPLED)]:
        held = {int(id) for number in range(case.shape[2]) for id in np.unique(_labels(case, number))} - {ignore_index}
        if held:
            highest.append(max(held) if held == set(range(len(held))) else None)
        found |= dict.fromkeys(held - found.keys(), case.mask.path)
    if VOID in found and VOID not in label_map:
        raise UserError(f"{found[VOID]}: holds the id {VOID}; if it means unknown, add dataset.ignore_index={VOID}")
    ids = sorted({label_map.get(id, id) for id in found} - {VOID})
    if ids == list(range(len(ids))) and not label_map:
        doubt_ids(highest, found)
    if ids != list(range(len(ids))) or not ids:
        raise UserError(
            f"{cases[0].mask.path}: it and others hold the ids {sorted(found)[:9]}; number them 0, 1, ... by "
            "dataset.label_map, or name the classes in dataset.json or dataset.classes"
        )
    return len(ids)


def _sample(cases: Sequence[Case], axis: int) -> list[np.ndarray]:
    """Return the values (H, W, channels) of evenly spread slices."""
    slices = [(case, number) for case in cases for number in range(case.shape[axis])]
    return [case.slice(axis, number) for case, number in slices[:: max(1, len(slices) // SAMPLED)]]


def window(cases: Sequence[Case], axis: int) -> Window:
    """Return center and width of the values from DARK to BRIGHT in a sample of slices; of each channel, if several."""
    sample = np.concatenate([one.reshape(-1, one.shape[2]) for one in _sample(cases, axis)])
    found = [_middle(channel[np.isfinite(channel)], cases[0]) for channel in sample.T]
    return found[0] if len(found) == 1 else tuple(found)


def _middle(values: np.ndarray, case: Case) -> tuple[float, float]:
    if not values.size:
        raise UserError(f"{case.images[0].path}: it and others hold no finite value; save them again")
    low, high = np.percentile(values, (DARK, BRIGHT))
    return round(float(low + high) / 2, 4), round(float(high - low), 4) or 1.0


def statistics(cases: Sequence[Case], axis: int, shown: Window) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std per channel of a sample of slices, in a window."""
    values = np.concatenate([windowed(one, shown).reshape(-1, one.shape[2]) for one in _sample(cases, axis)])
    mean, std = values.mean(0, dtype=np.float64), values.std(0, dtype=np.float64).clip(1e-3)
    return tuple(round(float(one), 4) for one in mean), tuple(round(float(one), 4) for one in std)


def describe(cases: Sequence[Case], axis: int, plane: str, shown: Window) -> str:
    """Describe slices, spacing, orientation and window in one line."""
    sizes = sorted({case.mask.plane(axis) for case in cases})
    size = "x".join(map(str, sizes[0])) + (f" to {'x'.join(map(str, sizes[-1]))}" if len(sizes) > 1 else "")
    gaps = sorted({round(case.mask.spacing[axis], 3) for case in cases})
    pixels = sorted({round(case.mask.spacing[other], 3) for case in cases for other in range(3) if other != axis})
    stored = ", ".join(f"{times} {codes}" for codes, times in Counter(case.mask.stored for case in cases).most_common())
    count = sum(case.shape[axis] for case in cases)
    rows = f"rows to the {'back' if axis == 2 else 'foot'} and columns to the {'back' if axis == 0 else 'left'}"
    channels = f"{cases[0].channels} channel{'s' * (cases[0].channels > 1)}"
    facts = f"{count} {plane} slices of {len(cases)} volume{'s' * (len(cases) > 1)} (stored {stored}), {channels}"
    parts = (
        f"{facts}, {size}, {rows}",
        f"pixels of {_range(pixels)} mm, slices {_range(gaps)} mm apart",
        limits(shown),
    )
    return "; ".join(parts)


def _range(values: Sequence[float]) -> str:
    return f"{values[0]:g}" + (f" to {values[-1]:g}" if len(values) > 1 else "")
