"""Pairs of image and mask files in folders."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from densepred.dataset.image_file import EXTENSIONS
from densepred.dataset.listing import image_files
from densepred.types import UserError


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, its mask if it has one, and their common name."""

    id: str
    image: Path
    mask: Path | None


def pair_folders(images: Path, masks: Path | None, mask_suffix: str = "", image_suffix: str = "") -> list[Pair]:
    """Pair files by relative path without suffix and extension, in the order of their names."""
    found = _by_stem(images, image_suffix)
    if not found:
        raise UserError(f"{images}: holds no images ({', '.join(sorted(EXTENSIONS))}); check dataset.root and splits")
    if masks is None:
        return [Pair(name, path, None) for name, path in sorted(found.items())]
    labels = _by_stem(masks, mask_suffix)
    _check_partners(found, labels, images, masks)
    return [Pair(name, path, labels[name]) for name, path in sorted(found.items())]


def _by_stem(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the files by relative path without extension and suffix, as composed Unicode."""
    if not folder.is_dir():
        raise UserError(f"{folder}: is no folder; check dataset.root, dataset.images, dataset.masks and dataset.splits")
    out: dict[str, Path] = {}
    for path in image_files(folder):
        name = unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())
        if not name.endswith(suffix):
            continue
        name = name[: len(name) - len(suffix)]
        if name in out:
            raise UserError(f"{path} and {out[name].name}: have the same name without extension; keep one of them")
        out[name] = path
    return out


def _check_partners(images: Mapping[str, Path], masks: Mapping[str, Path], here: Path, there: Path) -> None:
    alone, lonely = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    if not alone and not lonely:
        return
    folded = {name.casefold() for name in lonely}
    hint = (
        "names differ in upper and lower case" if any(n.casefold() in folded for n in alone) else "add or remove files"
    )
    parts = [
        f"{len(names)} {what} ({', '.join(map(repr, names[:3]))}{', ...' if len(names) > 3 else ''})"
        for names, what in ((alone, "images without a mask"), (lonely, "masks without an image"))
        if names
    ]
    raise UserError(f"{here} and {there}: {' and '.join(parts)}; {hint}")
