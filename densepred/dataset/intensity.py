"""Values of images of any type, as uint8 or as float32 in [0, 1]: the scale of an image is decided here, once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from densepred.errors import UserError, shown
from densepred.types import WHITE, Info

Window = tuple[float, ...] | tuple[tuple[float, float], ...]
"""Center and width of the values that become black to white, in all channels or in each."""
Channels = int | Sequence[int] | None
"""The number of channels that an image is converted to, or the bands that it is made of, from 1; None: as stored."""
White = int | Window | None
"""White in integers above 8 bits, or the window of values that are no bytes: its center and width. None: by type."""
DEPTHS = (8, 10, 12, 14, 16)
"""Bits of a value as cameras deliver them, whatever the type of the file."""


def white_in(info: Info) -> White:
    """Return the window of a dataset if it has one, else its white."""
    return info.window or info.max_value


def as_window(window: Sequence[Any] | None) -> Window | None:
    """Return a window as numbers. Raises UserError unless it is a center and a width above 0, or these per channel."""
    if window is None:
        return None
    nested = any(isinstance(row, Sequence) and not isinstance(row, str) for row in window)
    rows = list[Any](window) if nested else [window]
    if not rows or not all(map(_is_pair, rows)):
        fact = f"dataset.window: {shown([list(row) if isinstance(row, Sequence) else row for row in rows])}"
        raise UserError(f"{fact}; give [center,width], such as [40,400], or a list of these per channel")
    pairs = tuple((float(center), float(width)) for center, width in rows)
    return pairs if nested else pairs[0]


def _is_pair(row: Any) -> bool:
    return isinstance(row, Sequence) and len(row) == 2 and all(map(_is_number, row)) and row[1] > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def windows(window: Window) -> list[tuple[float, float]]:
    """Return the centers and widths of a window: one of all channels, or one per channel."""
    return [(float(center), float(width)) for center, width in np.reshape(window, (-1, 2)).tolist()]


def check_channels(window: Window, channels: int, path: Path) -> None:
    """Raise UserError if a window is that of another number of channels than a file has."""
    if (count := len(windows(window))) not in (1, channels):
        fact = f"{path}: has {channels} channels, and dataset.window is that of {count}"
        raise UserError(f"{fact}; give an image of these channels, or one [center,width] for all")


def limits(window: Window) -> str:
    """Return what a window makes black and white, in words."""
    ends = [(center - width / 2, center + width / 2) for center, width in windows(window)]
    low, high = (", ".join(f"{one:g}" for one in column) for column in zip(*ends, strict=True))
    of = f", of {len(ends)} channels" if len(ends) > 1 else ""
    return f"{low} is black and {high} white{of}, clipped beyond (dataset.window)"


def windowed(values: np.ndarray, window: Window) -> np.ndarray:
    """Map the window of (H, W, C) values, from center - width / 2 to center + width / 2, to [0, 1].

    Values beyond are clipped. float32
    """
    center, width = np.reshape(window, (-1, 2)).astype(np.float64).T
    return np.clip((values.astype(np.float64) - center) / width + 0.5, 0, 1).astype(np.float32)


def _advice(low: float, high: float) -> str:
    return f"or train with 'dataset.window=[{(low + high) / 2:g},{high - low or 1:g}]' (center, width)"


def unit(values: np.ndarray, path: Path, max_value: White) -> np.ndarray:
    """Return (H, W, C): 0..255 as uint8, other values as float32 in [0, 1]."""
    values = values[..., None] if values.ndim == 2 else values
    if values.dtype == np.uint8:
        return np.array(values)
    window = max_value if isinstance(max_value, Sequence) else None
    max_value = None if isinstance(max_value, Sequence) else max_value
    if window is not None:
        check_channels(window, values.shape[2], path)
    if window is not None and values.dtype.kind in "iu":
        return windowed(values, window)
    if values.dtype.kind in "iu":
        low, high = int(values.min()), int(values.max())
        small = values.dtype != np.uint16 and high <= 255
        white = max_value or (255 if small else WHITE)
        if low < 0 or (high > white and max_value in (None, WHITE)):
            raise UserError(
                f"{path}: holds integers from {low} to {high}; 0 to {WHITE} can be read, so scale it, "
                f"{_advice(low, high)}"
            )
        if high > white:
            raise UserError(
                f"{path}: holds integers up to {high}, above {white}, which is white in the training images; train "
                f"with dataset.max_value={white_of(high)}, or scale this image"
            )
        return values.astype(np.uint8) if white == 255 else values.astype(np.float32) / white
    if values.dtype.kind != "f":
        raise UserError(f"{path}: holds {values.dtype}; save it as uint8, uint16 or float32")
    if lost := int((~np.isfinite(values)).sum()):
        raise UserError(f"{path}: {lost} of its {values.size} numbers are NaN or infinite; write 0 in their place")
    if window is not None:
        return windowed(values, window)
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):
        raise UserError(
            f"{path}: holds floats from {low:g} to {high:g}; scale them to lie in 0 to 1, {_advice(low, high)}"
        )
    return values.astype(np.float32)


def whole_bytes(values: np.ndarray, where: str) -> np.ndarray:
    """Return colours as uint8 that are stored as other numbers. Raises UserError for fractions, and beyond 0 to 255."""
    odd = values[~((values >= 0) & (values <= 255) & (values == np.floor(values)))]
    if odd.size:
        raise UserError(f"{where} holds {odd.flat[0]:g}; colours are whole numbers of 0 to 255: scale them")
    return values.astype(np.uint8)


def fit(values: np.ndarray, channels: int | None, path: Path) -> Tensor:
    """Convert (H, W, C) to a tensor (channels, H, W)."""
    image = torch.from_numpy(values).permute(2, 0, 1)
    if channels is None or len(image) == channels:
        return image.contiguous()
    if len(image) == 1 and channels == 3:
        return image.expand(3, -1, -1).contiguous()
    if len(image) == 3 and channels == 1:
        grey = torch.einsum("chw,c->hw", image.float(), torch.tensor([0.299, 0.587, 0.114]))[None]
        return grey.round_().to(torch.uint8) if image.dtype == torch.uint8 else grey
    raise UserError(
        f"{path}: has {len(image)} channels where {channels} are needed; convert it or set dataset.channels"
    )


def white_of(highest: int) -> int:
    """Return white for integers up to `highest`: the largest value of the smallest usual depth that holds them."""
    return next((2**bits - 1 for bits in DEPTHS if highest < 2**bits), highest)


def pick(values: np.ndarray, bands: Sequence[int], path: Path) -> np.ndarray:
    """Return these bands, counted from 1, of an image (H, W, C)."""
    if not bands or min(bands) < 1 or max(bands) > values.shape[2]:
        raise UserError(f"{path}: has {values.shape[2]} bands, dataset.channels asks for {list(bands)}; name others")
    return values[..., [band - 1 for band in bands]]
