"""Files of a folder that belong to an image beside them: masks, and what annotation programs write. By their names."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from densepred.dataset.image_file import opened
from densepred.dataset.layout_ends import ENDS
from densepred.dataset.layout_pairs import MASKS
from densepred.dataset.listing import VOLUMES
from densepred.dataset.pairs import BYPRODUCTS
from densepred.errors import UserError

IMAGES = ("", "_img", "_image", "_0000", "_leftImg8bit")
"""Ends of names that mark the image of a pair, and are missing in the name of its mask."""
DRAWN = re.compile(r"(?i)visuali[sz]ation|overlay")
"""Words in the name of a folder of drawings."""
OF_FOLDERS = re.compile(f"{MASKS.pattern}|gt(fine|coarse)|panoptic|visuali[sz]ation|overlay")
"""Words in the name of a folder of masks, or of drawings of them."""
IN_FOLDERS = (*ENDS, "_gtFine_labelIds", "_gtFine_color", "_gtFine_instanceIds", "_gtFine_labelTrainIds")
MOST = 0.8
"""Share of the files of a folder of masks that have an image elsewhere."""
FEW = 3  # files that are decoded to tell masks from photographs
COLOURS = 256
"""Colours of a mask: more than that, and than 8 times the side of a square of its pixels, are a photograph's."""
JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class Words:
    """The words by which a run told masks from images: folders with {split}, and ends of names."""

    images: str = ""
    masks: str = ""
    image_suffix: str = ""
    mask_suffix: str = ""


def companions(files: Sequence[Path], folder: Path, words: Words) -> dict[Path, Path]:
    """Return the files that belong to another one, and that image.

    The words of the run come first. Other files count as masks by the usual ends and folders, unless their content
    is a photograph's: a mask has few colours, and is no JPEG.
    """
    names = {file.relative_to(folder).as_posix(): file for file in files}
    found: dict[str, str] = {}
    for part in _folders(names).values():
        found |= _by_words(part, words)
        found |= _by_ends(part, names) if not found.keys() & set(part) else {}
        found |= _byproducts(part, found)
    for mask, image in {**_by_folders(names), **_by_patterns(names, words)}.items():
        found.setdefault(mask, image)
    return {names[name]: names[image] for name, image in found.items() if image not in found}


def _folders(names: Iterable[str]) -> dict[str, list[str]]:
    out = defaultdict(list)
    for name in names:
        out[name.rpartition("/")[0]].append(name)
    return dict(out)


def stem(name: str) -> str:
    """Return a path without extension, of which `.nii.gz` is one."""
    volume = next((end for end in sorted(VOLUMES, key=len, reverse=True) if name.lower().endswith(end)), None)
    return name[: -len(volume)] if volume else str(PurePosixPath(name).with_suffix(""))


def _stripped(name: str, end: str) -> str | None:
    """Return a path without extension and end; an end with a dot includes the extension. None if it ends otherwise."""
    text = name if "." in end else stem(name)
    return text[: len(text) - len(end)] if text.endswith(end) else None


def _images(names: Iterable[str], ends: Iterable[str]) -> dict[str, str]:
    """Return images by their paths without extension and each of the ends; the first end of an image wins."""
    out: dict[str, str] = {}
    for end in ends:
        for name in names:
            if (base := _stripped(name, end)) is not None:
                out.setdefault(base, name)
    return out


def _by_words(names: Sequence[str], words: Words) -> dict[str, str]:
    """Return the masks of a folder by the ends of a run, and files that share the image's name up to its end."""
    if words.mask_suffix == words.image_suffix:
        return {}
    images = _images(names, (words.image_suffix,))
    found = {}
    for name in names:
        base = _stripped(name, words.mask_suffix) if words.mask_suffix else None
        if base is None and words.image_suffix and _stripped(name, words.image_suffix) is None:
            base = next((one for one in _beginnings(stem(name)) if one in images), None)
        if base in images and images[base] != name:
            found[name] = images[base]
    return found


def _beginnings(text: str) -> Iterator[str]:
    """Yield the text, and what stands before each of its separators, from the longest on."""
    yield text
    for place in reversed([found.start() for found in re.finditer(r"[-_.]", text)]):
        yield text[:place]


def _by_ends(names: Sequence[str], files: Mapping[str, Path]) -> dict[str, str]:
    """Return the masks of a folder by the usual ends of names."""
    images, out = _images(names, IMAGES), {}
    for end in ENDS:
        pairs = {}
        for name in names:
            base = _stripped(name, end)
            if base in images and images[base] != name and not name.lower().endswith(JPEG):
                pairs[name] = images[base]
        if pairs and not _photographs([files[name] for name in pairs]):
            out |= {name: image for name, image in pairs.items() if image not in pairs}
    return out


def _byproducts(names: Sequence[str], masks: Mapping[str, str]) -> dict[str, str]:
    """Return the further files of images that have a mask."""
    marked = _images(set(masks.values()), IMAGES)
    out = {}
    for name in names:
        for end in BYPRODUCTS:
            base = _stripped(name, end)
            if base in marked and marked[base] != name and name not in masks:
                out[name] = marked[base]
    return out


def _by_patterns(names: Iterable[str], words: Words) -> dict[str, str]:
    """Return the masks in the folders that a run named."""
    if not words.images or not words.masks or words.images == words.masks:
        return {}
    images = _images(names, dict.fromkeys((words.image_suffix, *IMAGES)))
    parts = [re.escape(part) for part in words.masks.split("{split}")]
    place = re.compile(rf"(?P<above>(.*/)?){'(?P<split>[^/]+)'.join(parts[:2])}(?P<below>/.*)")
    out = {}
    for name in names:
        base = _stripped(name, words.mask_suffix)
        found = None if base is None else place.fullmatch(base)
        if found is not None:
            folder = words.images.replace("{split}", found.groupdict().get("split") or "")
            image = images.get(f"{found['above']}{folder}{found['below']}")
            out |= {} if image in (None, name) else {name: str(image)}
    return out


def _by_folders(names: Mapping[str, Path]) -> dict[str, str]:
    """Return the files of folders of masks, if most of them have an image in another folder."""
    folders = _folders(names)
    images = defaultdict(list)
    for folder, part in folders.items():
        if not OF_FOLDERS.search(folder):
            for base, name in _images(part, IMAGES).items():
                images[base.rpartition("/")[2]].append(name)
    out = {}
    for folder, part in folders.items():
        if not OF_FOLDERS.search(folder):
            continue
        partners = {name: _nearest(folder, _candidates(name, images)) for name in part}
        found = {name: image for name, image in partners.items() if image is not None}
        if len(found) < max(1, MOST * len(part)):
            continue
        if DRAWN.search(folder) or not _photographs([names[name] for name in part]):
            first = next(iter(found.values()))
            out |= {name: found.get(name, first) for name in part}
    return out


def _candidates(name: str, images: Mapping[str, list[str]]) -> list[str]:
    last = name.rpartition("/")[2]
    bases = [base for end in ("", *IN_FOLDERS) if (base := _stripped(last, end)) is not None]
    return next((images[base] for base in bases if base in images), [])


def _nearest(folder: str, images: Sequence[str]) -> str | None:
    """Return the image in the folder that shares most parts with the folder of its mask."""
    parts = Counter(folder.split("/"))
    shared = [sum((parts & Counter(name.split("/")[:-1])).values()) for name in images]
    return images[shared.index(max(shared))] if shared else None


def _photographs(files: Sequence[Path]) -> bool:
    """Return True if a sample of files holds more colours than masks do."""
    return all(_many_colours(path) for path in files[:: max(1, len(files) // FEW)][:FEW])


def _many_colours(path: Path) -> bool:
    if path.suffix == ".npy" or path.name.lower().endswith(VOLUMES):
        return False
    try:
        with opened(path) as image:
            pixels = np.asarray(image if image.mode != "P" else image.convert("L"))
    except UserError:
        return False
    if pixels.ndim == 2:
        return False
    count = len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0))
    return count > max(COLOURS, 8 * (pixels.shape[0] * pixels.shape[1]) ** 0.5)
