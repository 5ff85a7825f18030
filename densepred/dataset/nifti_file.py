"""Volumes of NIfTI, and their slices as radiologists view them, by nibabel.

nibabel (MIT, https://github.com/nipy/nibabel) reads `.nii` and `.nii.gz`; the extra `medical` installs it.
"""

from __future__ import annotations

import gzip
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from densepred.dataset.image_file import check_file, check_pixels, damage, logged
from densepred.dataset.listing import VOLUMES
from densepred.errors import Notice, UserError

INSTALL = "pip install 'densepred[medical]'"
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
"""Planes, and the axis of a volume that they cut: from left to right, back to front, foot to head."""
CHANGED = "setting to"
"""Words in nibabel's remarks about values of a header that it replaced."""
NEAR = 0.01
"""Millimetres by which two affine maps of equal volumes may differ."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The header of a volume. `shape` and `spacing` (mm) go along left-right, back-front and foot-head.

    `places` are the stored axes in this order, and `flips` tell which of them run the other way.
    `stored` names the ends of the stored axes, such as "LPS"; `channels` is the length of a fourth axis.
    """

    path: Path
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    places: tuple[int, ...]
    flips: tuple[bool, ...]
    stored: str
    affine: np.ndarray
    channels: int
    ndim: int
    size: int  # in bytes, decompressed

    def plane(self, axis: int) -> tuple[int, int]:
        """Return height and width of the slices across an axis."""
        across, down = (self.shape[other] for other in range(3) if other != axis)
        return down, across

    def slice(self, axis: int, number: int, inside: Values | None = None) -> np.ndarray:
        """Return a slice (H, W, channels): its rows run to the foot, or to the back if axial, its columns left or back.

        number: counted from the left, the back or the foot of the patient
        inside: the numbers of the volume, if they were read before
        """
        key: list[Any] = [slice(None)] * self.ndim
        key[self.places[axis]] = self.shape[axis] - 1 - number if self.flips[axis] else number
        if inside is None:
            with _opened(self.path, []) as image:
                values = np.asarray(image.dataobj[tuple(key)])
        else:
            values = inside[tuple(key)]
        values = values if self.ndim == 4 else values[..., None]
        across, down = (other for other in range(3) if other != axis)
        if self.places[across] < self.places[down]:
            values = values.swapaxes(0, 1)
        # Rows and columns begin at the head, the front or the right: against the axes, unless these are flipped
        return values[:: 1 if self.flips[down] else -1, :: 1 if self.flips[across] else -1]

    def assembled(self, slices: np.ndarray, axis: int) -> np.ndarray:
        """Return all slices across an axis, (N, H, W) in their order, as a volume of the stored axes."""
        across, down = (other for other in range(3) if other != axis)
        order = (axis, down, across)
        steps = (-1 if self.flips[axis] else 1, *(1 if self.flips[other] else -1 for other in (down, across)))
        turned = slices[tuple(slice(None, None, step) for step in steps)]
        return turned.transpose([order.index(self.places.index(place)) for place in range(3)])


class Values:
    """The numbers of a volume, decompressed once and scaled slice by slice. `.nii` stays on the disk."""

    def __init__(self, volume: Volume) -> None:
        with _opened(volume.path, []) as image:
            found = image.dataobj
            self._stored, self._scale = found.get_unscaled(), (found.slope, found.inter)

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        from nibabel.volumeutils import apply_read_scaling

        return np.asarray(apply_read_scaling(np.asarray(self._stored[key]), *self._scale))


def alike(volume: Volume, values: np.ndarray) -> bytes:
    """Return the file of another volume on the same grid: affine maps, their codes and units of its header.

    values: (X, Y, Z) integers along the stored axes. Extensions of the header, which may name patients, are left out.
    """
    with _opened(volume.path, []) as image:
        header = image.header.copy()
        header.set_data_dtype(values.dtype)
        header["cal_min"] = header["cal_max"] = 0
        header.extensions.clear()
        data = type(image)(values, None, header).to_bytes()
    # Without a time, equal labels make equal files
    return gzip.compress(data, mtime=0) if volume.path.name.lower().endswith(".gz") else data


def read_header(path: Path, axis: int, max_pixels: int) -> Volume:
    """Read the header of a volume, and check the size of its slices across an axis."""
    changed = list[str]()
    with _opened(path, changed) as image:
        shape, affine = tuple(int(side) for side in image.shape), np.array(image.affine)
        if len(shape) not in (3, 4) or 0 in shape:
            raise UserError(f"{path}: has the shape {shape}; give volumes of three axes, or of four with channels last")
        if image.get_data_dtype().kind not in "iuf" or not np.isfinite(affine).all():
            raise UserError(f"{path}: holds {image.get_data_dtype()}, or no affine map; save it as numbers in a space")
        from nibabel.orientations import aff2axcodes, io_orientation

        turned, codes = io_orientation(affine), aff2axcodes(affine)
        if np.isnan(turned).any():
            raise UserError(f"{path}: its affine map leaves out an axis; correct its header")
        places = tuple(int(np.flatnonzero(turned[:, 0] == axis)[0]) for axis in range(3))
        size = int(np.prod(shape, dtype=object)) * image.get_data_dtype().itemsize
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        flips = tuple(bool(turned[place, 1] < 0) for place in places)
    found = Volume(
        path,
        tuple(shape[place] for place in places),
        tuple(float(spacing[place]) for place in places),
        places,
        flips,
        "".join(map(str, codes)),
        affine,
        shape[3] if len(shape) == 4 else 1,
        len(shape),
        size,
    )
    check_pixels(path, *found.plane(axis), max_pixels, 4 * found.channels)
    if changed:
        warnings.warn(f"{path}: its header was mended: {'; '.join(changed)}", Notice, stacklevel=2)
    return found


def check_alike(one: Volume, other: Volume) -> None:
    """Raise UserError unless two volumes have the same voxels at the same places."""
    if one.shape != other.shape or one.places != other.places or one.flips != other.flips:
        raise UserError(
            f"{other.path}: has {'x'.join(map(str, other.shape))} voxels ({other.stored}), but {one.path.name} has "
            f"{'x'.join(map(str, one.shape))} ({one.stored}); save it on the same grid"
        )
    if np.abs(one.affine - other.affine).max() > NEAR:
        raise UserError(f"{other.path}: lies elsewhere than {one.path.name} by its affine map; give both the same")


def is_volume(path: Path) -> bool:
    return path.name.lower().endswith(VOLUMES)


def stem(path: Path) -> str:
    """Return the name of a volume without `.nii` or `.nii.gz`."""
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name[: -len(VOLUMES[0])]


@contextmanager
def _opened(path: Path, changed: list[str]) -> Iterator[Any]:
    """Open a volume; `changed` gets what nibabel replaced in its header."""
    check_file(path)
    if find_spec("nibabel") is None:
        raise UserError(f"{path}: is NIfTI, which nibabel reads; type {INSTALL}")
    import nibabel
    from nibabel.imageglobals import LoggingOutputSuppressor

    with damage(path), LoggingOutputSuppressor(), logged("nibabel.global", logging.WARNING) as told:
        yield nibabel.Nifti1Image.from_filename(path)
    changed.extend(text for text in told if CHANGED in text)
