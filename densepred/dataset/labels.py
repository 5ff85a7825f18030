"""From the ids or colours in masks to classes 0, 1, ... and VOID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from densepred.dataset import smoothed
from densepred.dataset.palette import PaletteRecord, colour_of
from densepred.errors import Misfit
from densepred.types import MAX_CLASSES, VOID, UserError

_UNKNOWN = -1
BYTE = 255
IN_COLOURS = (
    "the mask is coded by colours; list them in classes.json (name and color), which densepred-check writes with "
    "classes_json=DIR/classes.json"
)


@dataclass(slots=True)
class Labels:
    """`ids` and `colours` map ids and colours in masks to classes or VOID; `shared` are colours of several classes.

    `palettes` are the colours of ids in a sample of training masks. Reading changes none of it, so that no refusal
    depends on the order of reading.
    """

    classes: tuple[str, ...]
    ids: Mapping[int, int]
    colours: Mapping[tuple[int, int, int], int] = field(default_factory=dict)
    shared: frozenset[tuple[int, int, int]] = frozenset()
    palettes: PaletteRecord = field(repr=False, compare=False, default_factory=PaletteRecord)
    _table: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._table = np.full(65536, _UNKNOWN, np.int16)
        for value, label in self.ids.items():
            if not 0 <= value < len(self._table):
                raise UserError(f"dataset.label_map: the id {value} is out of range; give ids from 0 to 65535")
            if label != VOID and not 0 <= label < len(self.classes):
                raise UserError(
                    f"dataset.label_map: {value} -> {label}, but classes are 0 to {len(self.classes) - 1}; "
                    f"give one of these, or {VOID} for void"
                )
            self._table[value] = label

    def encode(self, mask: np.ndarray, path: Path, void: np.ndarray | None = None) -> Tensor:
        """Return the class map of a mask of ids or colours.

        mask: (H, W) or (H, W, 3) integers
        void: (H, W) bool, where the mask has no data
        returns: (H, W) uint8, VOID where unknown

        Raises UserError, with the file `path`, if an id or colour is of no class.
        """
        if void is not None:
            return self._around(mask, path, void)
        if mask.ndim == 3 and not self.colours and not self.shared:
            mask = _grey(mask, path)
        if mask.ndim == 3:
            labels = self._of_colours(mask, path)
        else:
            low, high = int(mask.min()), int(mask.max())
            if low < 0 or high >= len(self._table):
                raise self._unknown(path, low if low < 0 else high, np.unique(mask))
            labels = self._table[mask]
        if (labels == _UNKNOWN).any():
            smoothed.refuse(mask, path)
            raise self._unknown(path, int(mask[labels == _UNKNOWN][0]), np.unique(mask))
        return torch.from_numpy(labels.astype(np.uint8))

    def _around(self, mask: np.ndarray, path: Path, void: np.ndarray) -> Tensor:
        """Return the class map of a mask with holes. Their values need not be labels."""
        if void.all():
            return torch.full(void.shape, VOID, dtype=torch.uint8)
        filled = np.array(mask)
        filled[void] = mask[~void][0]
        labels = self.encode(filled, path)
        labels[torch.from_numpy(void)] = VOID
        return labels

    def check_palette(self, mask: np.ndarray, palette: np.ndarray, path: Path) -> None:
        """Raise UserError if a mask's palette shows an id in the colour of another class, or of another id.

        palette: (N, 3) uint8. Ramps of grey, as programs write without being asked, contradict nothing.
        """
        self.palettes.check(mask, palette, path)
        used = [int(value) for value in np.unique(mask) if value < len(palette)]
        if not self.colours or all(palette[value].tolist() == [value] * 3 for value in used):
            return
        for value in used:
            colour = colour_of(palette, value)
            shown = self.colours.get(colour)
            if shown is not None and shown != (meant := int(self._table[value])):
                raise UserError(
                    f"{path}: the id {value} is {self._name(meant)}, but the palette gives it the colour "
                    f"{colour} of {self._name(shown)}; if colours are right, save the mask as RGB, if ids "
                    "are right, save it as grey or correct the colours of the classes"
                )

    def _name(self, label: int) -> str:
        return "no class" if label == _UNKNOWN else "void" if label == VOID else repr(self.classes[label])

    def _of_colours(self, mask: np.ndarray, path: Path) -> np.ndarray:
        if mask.dtype != np.uint8 and ((mask < 0) | (mask > BYTE)).any():
            odd = mask[((mask < 0) | (mask > BYTE)).any(2)][0].tolist()
            remedy = "save it with 8 bits per colour"
            raise UserError(
                f"{path}: holds the colour {tuple(odd)}, and those of classes are from 0 to {BYTE}; {remedy}"
            )
        codes = mask.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
        known = {(red * 256 + green) * 256 + blue: label for (red, green, blue), label in self.colours.items()}
        found, inverse = np.unique(codes, return_inverse=True)
        labels = np.array([known.get(int(code), _UNKNOWN) for code in found], np.int16)
        if (labels == _UNKNOWN).any():
            stray = int(found[labels == _UNKNOWN][0])
            colour = (stray >> 16, stray >> 8 & 255, stray & 255)
            y, x = np.argwhere(codes == stray)[0]
            if colour in self.shared:
                raise UserError(f"{path}: several classes have the same colour {colour}; give each its own")
            count = int((labels == _UNKNOWN).sum())
            if smoothed.is_blend((labels == _UNKNOWN)[inverse].reshape(codes.shape), count):
                raise Misfit(
                    f"{path}: the mask is anti-aliased: {count} colours of no class, such as {colour} at x={x} y={y}, "
                    f"lie along the edges of classes; {smoothed.REMEDY}",
                    "blended_masks",
                )
            raise Misfit(
                f"{path}: the colour {colour} at x={x} y={y} ({int((codes == stray).sum())} pixels) is of no class; "
                "correct the mask or add the colour to classes.json",
                "unknown_colours",
            )
        return labels[inverse].reshape(codes.shape)

    def _unknown(self, path: Path, value: int, found: np.ndarray) -> Misfit:
        known = self._table[found.clip(0, len(self._table) - 1)] != _UNKNOWN
        return Misfit(self._of_no_class(path, value, found), "unknown_labels", found[~known].tolist())

    def _of_no_class(self, path: Path, value: int, found: np.ndarray) -> str:
        """Return the message about an id of no class, with the remedy that fits the ids in the mask."""
        count = len(self.classes)
        what = f"{path}: the mask holds the id {value}, but there are {count} classes (0 to {count - 1})"
        if count == 2 and set(found.tolist()) == {0, 255}:
            return f"{what}; if 255 is the second class, add 'dataset.label_map={{255: 1}}'"
        if value == 255:
            return f"{what}; if 255 means unknown, add dataset.ignore_index=255"
        if value < 0 or value > 65535:
            return f"{what}; correct the mask"
        return f"{what}; correct it, raise dataset.classes, or add 'dataset.label_map={{{value}: CLASS}}' (255: void)"


def _grey(mask: np.ndarray, path: Path) -> np.ndarray:
    """Return the ids (H, W) of a mask that was saved as RGB with three equal values."""
    if (mask != mask[..., :1]).any():
        raise Misfit(f"{path}: {IN_COLOURS}", "colour_masks")
    return mask[..., 0]


def number(ids: Sequence[int], ignored: set[int], label_map: Mapping[int, int]) -> dict[int, int]:
    """Map the ids of classes, in their order, to 0, 1, ..., and ignored ids to VOID; `label_map` overrides both."""
    kept = [value for value in ids if value not in ignored]
    if len(kept) > MAX_CLASSES:
        raise UserError(
            f"dataset.classes: {len(kept)} classes, but at most {MAX_CLASSES} fit a class map; "
            "merge some by dataset.label_map"
        )
    return {value: index for index, value in enumerate(kept)} | dict.fromkeys(ignored, VOID) | dict(label_map)


def parse_label_map(label_map: Mapping[int, int] | None) -> dict[int, int]:
    """Return the ids and classes as integers, or raise UserError if they are something else."""
    try:
        return {int(value): int(label) for value, label in (label_map or {}).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise UserError(f"dataset.label_map: {label_map}; map ids to classes, as {{255: 1}}") from error
