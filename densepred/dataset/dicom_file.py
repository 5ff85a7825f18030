"""Single images of DICOM (PS3.3 C.7.6.3), by pydicom: stored values become the modality's, such as Hounsfield units.

pydicom (MIT, https://github.com/pydicom/pydicom) decodes run lengths itself, and JPEG by Pillow; for other compressions
its error names the packages. The extra `medical` installs it.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from densepred.dataset.image_file import check_file, check_pixels, damage, logged
from densepred.errors import UserError

SUFFIXES = (".dcm", ".dicom")
INSTALL = "pip install 'densepred[medical]'"
DEFLATED = "1.2.840.10008.1.2.1.99"  # the whole file is deflated, and pydicom inflates it without a limit
GREY, COLOUR = ("MONOCHROME1", "MONOCHROME2"), ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
MODEST = 2**26  # bytes of a file beside its pixels
HEADER = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "NumberOfFrames",
    "BitsAllocated",
    "PixelRepresentation",
    "PhotometricInterpretation",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
)


GEOMETRY = {
    "PixelSpacing": "pixel_spacing_mm",
    "ImagerPixelSpacing": "imager_pixel_spacing_mm",
    "SliceThickness": "slice_thickness_mm",
    "SpacingBetweenSlices": "spacing_between_slices_mm",
    "ImagePositionPatient": "position_mm",
    "ImageOrientationPatient": "orientation",
}
"""Tags of sizes and places (PS3.3 C.7.6.2, C.7.6.3), and their names in files of results."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`inverted` for MONOCHROME1, in which the lowest value is white.

    `padding` are the lowest and the highest stored value of pixels outside the image, `nodata` is the value they get.
    """

    size: tuple[int, int]
    bands: int
    dtype: np.dtype
    inverted: bool
    padding: tuple[int, int] | None = None
    nodata: float | None = None


def read_layout(path: Path, max_pixels: int) -> Layout:
    """Read the header. Raises UserError for files of several frames, of palettes, and of more pixels than allowed."""
    with _opened(path, header=True) as data:
        return _layout(path, data, max_pixels)


def geometry(path: Path) -> dict[str, list[float]]:
    """Return what the header tells of sizes and places, by the names in GEOMETRY; rows come before columns."""
    with _opened(path, header=True, tags=GEOMETRY) as data:
        found = {name: data.get(tag) for tag, name in GEOMETRY.items()}
        values = {
            name: np.atleast_1d(np.array(one, np.float64)) for name, one in found.items() if one not in (None, "")
        }
    return {name: one.tolist() for name, one in values.items() if one.size and np.isfinite(one).all()}


def read_values(path: Path, max_pixels: int) -> np.ndarray:
    """Return the pixels (H, W, bands): integers as stored if there is no rescale, otherwise float32 of the modality."""
    with _opened(path, header=False) as data:
        found = _layout(path, data, max_pixels)
        stored = data.pixel_array
        values = _rescaled(stored, data) if found.dtype == np.float32 else stored
        if found.padding is not None:
            outside = (stored >= found.padding[0]) & (stored <= found.padding[1])
            values = np.where(outside, np.asarray(found.nodata, values.dtype), values)
        return np.asarray(values).reshape(*found.size, found.bands)


@contextmanager
def _opened(path: Path, header: bool, tags: Collection[str] = HEADER) -> Iterator[Any]:
    check_file(path)
    if find_spec("pydicom") is None:
        raise UserError(f"{path}: is DICOM, which pydicom reads; type {INSTALL}, or save it as PNG, TIFF or .npy")
    import pydicom
    from pydicom.filereader import read_file_meta_info

    with damage(path), logged("pydicom"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if str(read_file_meta_info(path).get("TransferSyntaxUID")) == DEFLATED:
            raise UserError(f"{path}: is deflated as a whole; save it uncompressed")
        yield pydicom.dcmread(path, stop_before_pixels=header, specific_tags=[*tags] if header else None)


def _layout(path: Path, data: Any, max_pixels: int) -> Layout:
    size, bands = (int(data.Rows), int(data.Columns)), int(data.get("SamplesPerPixel", 1))
    kind, frames = str(data.PhotometricInterpretation), int(data.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UserError(f"{path}: holds {frames} frames; save each as an image")
    if kind not in (GREY if bands == 1 else COLOUR) or 0 in size:
        raise UserError(f"{path}: holds {bands} samples of the kind {kind}; save it as grey or RGB")
    if data.get("ModalityLUTSequence"):
        raise UserError(f"{path}: maps its values by a table (Modality LUT); save the mapped values as TIFF or .npy")
    stored = np.dtype(f"{'i' if data.PixelRepresentation else 'u'}{max(1, int(data.BitsAllocated) // 8)}")
    plain = (float(data.get("RescaleSlope") or 1), float(data.get("RescaleIntercept") or 0)) == (1, 0)
    dtype = stored if plain or bands > 1 else np.dtype(np.float32)
    check_pixels(path, *size, max_pixels, bands * dtype.itemsize)
    needed = size[0] * size[1] * bands * stored.itemsize
    if path.stat().st_size > needed + MODEST:
        raise UserError(f"{path}: has {path.stat().st_size} bytes for {needed} bytes of pixels; save the image again")
    padding = _padding(data, stored) if bands == 1 else None
    nodata = None
    if padding is not None:
        first = np.array(padding[0], stored)
        nodata = float(_rescaled(first, data) if dtype == np.float32 else first)
    return Layout(size, bands, dtype, kind == "MONOCHROME1", padding, nodata)


def _rescaled(stored: np.ndarray, data: Any) -> np.ndarray:
    """Return stored values as those of the modality, float32."""
    values = stored.astype(np.float64) * float(data.get("RescaleSlope") or 1)
    return (values + float(data.get("RescaleIntercept") or 0)).astype(np.float32)


def _padding(data: Any, stored: np.dtype) -> tuple[int, int] | None:
    """Return the lowest and the highest value of pixels outside the image (PS3.3 C.7.5.1.1.2); None without any."""
    given = [data.get(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    # Some files store a negative value as unsigned: the bits count
    found = [int(np.array(int(value)).astype(stored)) for value in given if value is not None]
    return (min(found), max(found)) if given[0] is not None else None
