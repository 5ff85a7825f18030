"""The arrays of PanNuke's folds."""

from __future__ import annotations

from pathlib import Path

from densepred.dataset import paths
from densepred.dataset.image_file import check_pixels, map_npy
from densepred.errors import UserError

NAMED = "'dataset.splits={train: fold1, valid: fold2, test: fold3}'"
CHANNELS = 6  # of the masks: one map of instances per type, and the background


def count(images: Path, masks: Path, max_pixels: int) -> int:
    """Return the number of images. Raises UserError if the arrays have other shapes or types than PanNuke's."""
    pixels, maps = map_npy(images), map_npy(masks)
    fits = pixels.ndim == 4 and pixels.shape[3] == 3 and maps.shape == (*pixels.shape[:3], CHANNELS)
    if not fits or 0 in maps.shape or {pixels.dtype.kind, maps.dtype.kind} - {*"iuf"}:
        text = f"is {pixels.dtype} {pixels.shape} and {masks.name} {maps.dtype} {maps.shape}"
        raise UserError(f"{images}: {text}; give arrays (N, height, width, 3) and (N, height, width, 6)")
    check_pixels(images, pixels.shape[1], pixels.shape[2], max_pixels)
    return len(pixels)


def find(root: Path, fold: str, kind: str) -> Path:
    """Return the file of images or masks of a fold, or raise Absent."""
    places = [*root.glob(f"*/{kind}/fold*"), *root.glob(f"*/*/{kind}/fold*")]
    for folder in (root / fold, *(place for place in sorted(places) if place.name == fold), root / kind / fold):
        if (path := folder / f"{kind}.npy").is_file():
            return path
    fact = f"{root}: holds no {kind}.npy of {fold}"
    if names := sorted({place.name for place in places}):
        raise paths.Unlisted(f"{fact}, only of {', '.join(names)}; add it, or name others, as by {NAMED}")
    raise paths.Absent(f"{fact}; set dataset.root to the folder of the folds")
