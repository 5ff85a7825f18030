"""Facts about image files from their headers, and their description in one line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from densepred.dataset import nodata
from densepred.dataset.image import highest, orientation_of, turned_by_decoding
from densepred.dataset.image_file import MAX_PIXELS, WIDE, opened, pages
from densepred.dataset.intensity import limits, white_of
from densepred.dataset.raster import open_raster
from densepred.types import WHITE, Info, UserError

SAMPLED = 32  # at least as many files of a dataset are described, and fewer than twice as many


@dataclass(frozen=True, slots=True)
class Header:
    """`channels` are those that `read_image` would give; `bands` are those of the file, alpha among them."""

    path: Path
    channels: int
    bands: int
    depth: str  # "8 bits", "16 bits", "32 bits", "floats"
    size: tuple[int, int]
    previews: int = 0
    orientation: int = 1  # of EXIF
    nodata: float | None = None  # the value of pixels without data

    @property
    def wide(self) -> bool:
        """True for integers of more than 8 bits: their type does not tell which value is white."""
        return self.depth not in ("8 bits", "floats")


def read_header(path: Path, max_pixels: int = MAX_PIXELS) -> Header:
    """Describe an image without decoding it."""
    if (raster := open_raster(path, max_pixels)) is not None:
        return Header(
            path,
            raster.channels,
            raster.bands,
            raster.depth,
            raster.size,
            raster.previews,
            raster.orientation,
            raster.nodata,
        )
    with opened(path, max_pixels) as image:
        found, previews = pages(image, path, max_pixels)
        grey = image.mode in ("1", "L", "LA", "F", *WIDE)
        channels = max(len(found), 1 if grey else 3)
        alpha = image.mode in ("LA", "PA", "RGBA")
        depth = {"F": "floats", "I": "32 bits"}.get(image.mode, "16 bits" if image.mode in WIDE else "8 bits")
        # Pillow decodes a PNG to look for EXIF behind the pixels, where none is in practice
        turned = orientation_of(image) if image.format != "PNG" or "exif" in image.info else 1
        as_stored = turned_by_decoding(image) <= 4
        size = (image.height, image.width) if as_stored else (image.width, image.height)
        empty = nodata.declared(path) if image.format == "TIFF" else None
        return Header(path, channels, channels + alpha, depth, size, previews, turned, empty)


def read_headers(paths: Sequence[Path], max_pixels: int, strict: bool = True) -> list[Header]:
    """Describe an evenly spread sample of files; without `strict`, leave out those that cannot be read."""
    found = []
    for path in paths[:: max(1, len(paths) // SAMPLED)]:
        try:
            found.append(read_header(path, max_pixels))
        except UserError:
            if strict:
                raise
    return found


def measure_white(headers: Iterable[Header], max_pixels: int) -> int | None:
    """Return white of the integers above 8 bits in these files; None if no file holds such integers."""
    wide = [header.path for header in headers if header.wide]
    return white_of(max(highest(path, max_pixels) for path in wide)) if wide else None


def white(paths: Sequence[Path], given: int | None, max_pixels: int) -> int | None:
    """Return white of integers above 8 bits: `given`, else measured in a sample of these files, see `measure_white`."""
    if given is not None:
        check_white(given)
        return given
    return measure_white(read_headers(paths, max_pixels, strict=False), max_pixels)


def check_white(given: int) -> None:
    """Raise UserError if no integer below or equal to `given` can be an image."""
    if given < 1:
        raise UserError(f"dataset.max_value: {given}; give the integer that is white, such as 4095")


def describe(headers: Sequence[Header], info: Info) -> str:
    """Describe images in one line: channels, depth and sizes, and what is scaled or left out; "" without any."""
    if not headers:
        return ""
    depths = _list({header.depth for header in headers})
    sizes = sorted({header.size for header in headers})
    size = "x".join(map(str, sizes[0])) + (f" to {'x'.join(map(str, sizes[-1]))}" if len(sizes) > 1 else "")
    what = f"{info.channels} channel{'s' if info.channels > 1 else ''}"
    parts = [f"{what} of {depths}, {size}"]
    if info.window is not None:
        if plain := sum(header.depth == "8 bits" for header in headers):
            parts.append(f"dataset.window changes none of the {plain} of {len(headers)} that have 8 bits")
        if plain < len(headers):
            parts.append(limits(info.window))
    elif any(header.wide for header in headers):
        white = info.max_value
        parts.append(_by_type(headers) if white is None else f"white is {white} (dataset.max_value sets it)")
    elif info.max_value not in (None, WHITE):
        parts.append(f"dataset.max_value={info.max_value} changes none: no image has integers above 8 bits")
    parts += _left_out(headers, info)
    if previews := sum(header.previews > 0 for header in headers):
        parts.append(f"previews in {previews} of {len(headers)} are left out")
    if turned := sum(header.orientation > 1 for header in headers):
        how = "as stored" if info.exif == "stored" else "as viewers show them"
        parts.append(f"EXIF orientation in {turned} of {len(headers)}: read {how}")
    if empty := [header for header in headers if header.nodata is not None]:
        parts.append(f"{len(empty)} of {len(headers)} name a value of pixels without data ({empty[0].nodata:g}): black")
    return "; ".join(parts)


def _by_type(headers: Sequence[Header]) -> str:
    """Tell what is white in integers above 8 bits where training has not measured it."""
    shorts = {header.depth for header in headers if header.wide} == {"16 bits"}
    value = "65535" if shorts else "65535, or 255 in wider integers that do not exceed it"
    return f"white is {value}, as training images have 8 bits: those of 10 to 14 bits look dark, so save them with 8"


def _left_out(headers: Sequence[Header], info: Info) -> list[str]:
    """Tell which bands are left out, and which images are converted to the number of channels."""
    parts = []
    if info.bands:
        counts = _list(map(str, sorted({header.bands for header in headers})))
        return [f"bands {', '.join(map(str, info.bands))} of {counts} (dataset.channels)"]
    if lost := [header for header in headers if header.channels == info.channels < header.bands]:
        band = lost[0].bands
        parts.append(f"band {band} is left out in {len(lost)} of {len(headers)} (dataset.channels={band} keeps it)")
    if converted := [header for header in headers if info.channels not in (header.channels, header.bands)]:
        kinds = sorted({header.channels for header in converted})
        other = f"{_list(map(str, kinds))} channel{'s' if kinds != [1] else ''}"
        parts.append(f"{len(converted)} of {len(headers)} are converted from {other}")
    return parts


def describe_files(paths: Sequence[Path], info: Info, max_pixels: int) -> str:
    """Describe a sample of these files in one line."""
    return describe(read_headers(paths, max_pixels, strict=False), info)


def _list(words: Iterable[str]) -> str:
    return " and ".join(sorted(words))
