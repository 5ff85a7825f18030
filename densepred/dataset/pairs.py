"""Pairs of image and mask files in folders."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from densepred.dataset import channel_files
from densepred.dataset.facts import counted
from densepred.dataset.image_file import EXTENSIONS
from densepred.dataset.listing import LeftOut, image_files
from densepred.errors import Misfit, Notice
from densepred.types import UserError

OF_CELLPOSE = tuple(f"_{what}_cp_masks" for what in ("flows", "dP", "cellprob", "outlines"))
"""Ends of what cellpose saves beside masks: they end as the masks do."""
BYPRODUCTS = ("_seg", "_flows", "_cp_masks", "_cp_output", "_outlines", "_overlay", "_color", "_viz", *OF_CELLPOSE)
"""Ends of names that annotation programs give to further files beside an image and its mask."""


class NoPairs(Misfit):
    """The folders hold no pair of an image and a mask, so they may have another layout."""

    def __init__(self, message: str, cause: str = "no_files", names: Sequence[str] = ()) -> None:
        super().__init__(message, cause, names=names)


@dataclass(frozen=True, slots=True)
class Pair:
    """An image, its mask if it has one, and their common name."""

    id: str
    image: Path
    mask: Path | None


def pair_folders(
    images: Path,
    masks: Path | None,
    mask_suffix: str = "",
    image_suffix: str = "",
    tell: bool = False,
    unpaired: str | None = None,
) -> list[Pair]:
    """Pair files by relative path without suffix and extension, in the order of their names.

    A suffix with a dot, such as `_mask.png`, includes the extension. Images and masks may share a folder: files with
    the suffix of masks are masks, and the others are images. Masks in a folder below that of the images are no images.
    With `tell`, a notice counts what the suffixes leave out.
    `unpaired="skip"` leaves out images without a mask and masks without an image, with a notice, instead of raising
    UserError; "refuse" is the setting that the message names, and None stands for datasets without it.
    """
    shared = masks is not None and os.path.realpath(images) == os.path.realpath(masks)
    if shared and mask_suffix == image_suffix:
        raise NoPairs(
            f"{images}: holds images and masks, and both dataset.image_suffix and dataset.mask_suffix are "
            f"{mask_suffix!r}; add the end of the masks' names, such as dataset.mask_suffix=_mask"
        )
    _require(images)
    others = LeftOut()
    inside = masks is not None and (shared or masks.is_relative_to(images))
    labels, odd = ({}, []) if masks is None else _by_stem(masks, mask_suffix, LeftOut() if inside else others)
    labels, drawn = _without_drawings(labels, mask_suffix)
    apart = {*labels.values(), *drawn, *(() if shared else odd)} if inside else set[Path]()
    odd += drawn
    found, left = _by_stem(images, image_suffix, others, apart)
    if shared:
        found, byproducts = _without_byproducts(found, labels)
        odd, left = [], [path for path in left if path not in apart] + byproducts + drawn
    if not found:
        ends = f" whose names end in {image_suffix}" if image_suffix else ""
        kinds = ", ".join(sorted(EXTENSIONS))
        raise NoPairs(f"{images}: holds no images{ends} ({kinds}); check dataset.root and splits")
    further = channel_files.later(left)
    left = [path for path in left if path not in further]
    if tell:
        others.tell(images if masks is None or shared else f"{images} and {masks}")
        _tell_left_out(left, images, "image")
        _tell_left_out(odd, masks, "mask")
    if masks is None:
        return [Pair(name, path, None) for name, path in sorted(found.items())]
    _check_partners(found, labels, f"{images} and {masks}", unpaired)
    return [Pair(name, path, labels[name]) for name, path in sorted(found.items()) if name in labels]


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise NoPairs(f"{folder}: is no folder; check dataset.root, dataset.images, dataset.masks and dataset.splits")


def _by_stem(
    folder: Path, suffix: str, others: LeftOut, without: Collection[Path] = ()
) -> tuple[dict[str, Path], list[Path]]:
    """Return the files by relative path without suffix and extension, as composed Unicode, and those without it."""
    _require(folder)
    out: dict[str, Path] = {}
    left: list[Path] = []
    for path in image_files(folder, left_out=others):
        if path in without:
            continue
        relative = path.relative_to(folder)
        whole = relative.as_posix() if "." in suffix else relative.with_suffix("").as_posix()
        name = unicodedata.normalize("NFC", whole)
        if not name.endswith(suffix):
            left.append(path)
            continue
        name = name[: len(name) - len(suffix)]
        if name in out:
            raise UserError(f"{path} and {out[name].name}: have the same name without extension; keep one of them")
        out[name] = path
    return out, left


def _without_drawings(masks: Mapping[str, Path], suffix: str) -> tuple[dict[str, Path], list[Path]]:
    """Return the masks, and the files among them that cellpose saved beside another one."""
    ends = [end.removesuffix(suffix) for end in OF_CELLPOSE if suffix and end.endswith(suffix)]
    extra = [name for name in masks for end in ends if name.endswith(end) and name[: -len(end)] in masks]
    return {name: path for name, path in masks.items() if name not in extra}, [masks[name] for name in sorted(extra)]


def _without_byproducts(images: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[dict[str, Path], list[Path]]:
    """Return the images of a shared folder, and the files that a program wrote beside an image that has a mask."""
    extra = {
        name
        for name in images
        for end in BYPRODUCTS
        if name.endswith(end) and name[: -len(end)] in images.keys() & masks
    } - masks.keys()
    return {name: path for name, path in images.items() if name not in extra}, [images[name] for name in sorted(extra)]


def _tell_left_out(files: list[Path], folder: Path | None, what: str) -> None:
    if files:
        names = ", ".join(path.name for path in files[:3]) + (", ..." if len(files) > 3 else "")
        text = f"{folder}: {counted(len(files), 'files')} left out, named as no {what} ({names})"
        warnings.warn(f"{text}: dataset.image_suffix and dataset.mask_suffix choose", Notice, stacklevel=3)


def _check_partners(images: Mapping[str, Path], masks: Mapping[str, Path], where: str, unpaired: str | None) -> None:
    alone, lonely = sorted(images.keys() - masks.keys()), sorted(masks.keys() - images.keys())
    if not alone and not lonely:
        return
    folded = {name.casefold() for name in lonely}
    case = any(name.casefold() in folded for name in alone)
    parts = [
        f"{counted(len(names), what)} ({', '.join(map(repr, names[:3]))}{', ...' if len(names) > 3 else ''})"
        for names, what in ((alone, "images without a mask"), (lonely, "masks without an image"))
        if names
    ]
    fact, pairs = f"{where}: {' and '.join(parts)}", images.keys() & masks.keys()
    if unpaired == "skip" and pairs:
        text = f"{fact} left out, {counted(len(pairs), 'pairs')} kept (dataset.unpaired=skip)"
        warnings.warn(text, Notice, stacklevel=3)
        return
    hint = "rename them, they differ from partners in upper and lower case alone" if case else "add or remove files"
    if unpaired is not None and pairs and not case:
        hint += ", or type dataset.unpaired=skip to leave them out"
    files = [str(images[name]) for name in alone] + [str(masks[name]) for name in lonely]
    raise (Misfit if pairs or case else NoPairs)(f"{fact}; {hint}", "unpaired", names=files)
