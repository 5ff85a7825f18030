"""The files of YOLO's form: data.yaml or Darknet's obj.data, lists of images, and a text file per image."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from densepred.dataset.facts import counted
from densepred.dataset.file_names import normal
from densepred.dataset.listing import LeftOut, image_files
from densepred.dataset.paths import inside, split_word
from densepred.errors import Notice, UserError, shown

LARGEST = 1 << 24
"""Bytes of a file that is read."""
USUAL = ("data.yaml", "dataset.yaml", "obj.data", "obj.names", "classes.txt", "train/_darknet.labels")
"""Files that list the classes."""
BOX, TRIANGLE, ROUNDING = 4, 6, 0.01
FORM = "`class x y width height`, or `class x y x y x y ...` for a polygon, as fractions of the image"
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Described:
    """Content of data.yaml or obj.data: the names of the classes, and the folders or lists of images per split."""

    path: Path
    root: Path
    names: list[str]
    splits: dict[str, list[str]]
    base: str = ""

    def images(self, names: Sequence[str] | None) -> list[Path]:
        """Return the images of a split, the first of its `names` that the file has, sorted; all if that is None."""
        chosen = list(self.splits) if names is None else self.named(names)[:1]
        if not chosen:
            known = ", ".join(self.splits)
            raise UserError(
                f"{self.path}: names no images for {' or '.join(names or ())}, only for {known}; add them, or set "
                "dataset.splits"
            )
        places = [place for name in chosen for place in self.splits[name]]
        found = {file for place in places for file in self._at(self.place(place))}
        if not found:
            raise UserError(f"{self.path}: {', '.join(places)} holds no images; correct its paths")
        return sorted(found)

    def named(self, names: Sequence[str]) -> list[str]:
        """Return the splits of the file that are called so, in the order of `names`."""
        return [word for name in names if (word := split_word(name)) in self.splits]

    def tell_unused(self, wanted: Iterable[str]) -> None:
        if others := sorted(self.splits.keys() - set(wanted)):
            text = f"{self.path}: images of {', '.join(others)} are in no split of dataset.splits"
            warnings.warn(text, Notice, stacklevel=2)

    def place(self, word: str) -> Path:
        """Return a path of the file. Leading `..`, which Roboflow writes, and a `path` of another machine fall away.

        So does the folder `data` of Darknet, which CVAT writes and does not make.
        """
        parts = [part for part in PurePosixPath(normal(word)).parts if part != ".."]
        places = [(self.base, *parts)] if self.base else []
        places += [parts, parts[1:]] if parts[:1] == ["data"] else [parts]
        tried = [inside(self.root, "/".join(place) or ".", str(self.path)) for place in places]
        for path in tried:
            if os.path.exists(path):  # False, unlike Path, for names that are too long
                return path
        raise UserError(f"{self.path}: {shown(word)} is missing in {self.root}; correct its paths")

    def _at(self, place: Path) -> list[Path]:
        if place.suffix != ".txt":
            left_out = LeftOut()
            found = image_files(place, left_out=left_out)
            for own in (".txt", ".yaml", ".labels"):  # labels and data.yaml may lie beside the images
                left_out.others.pop(own, None)
            left_out.tell(place)
            return found
        return [self.place(line) for line in _lines(place)]


def read(path: Path, root: Path) -> Described:
    """Read data.yaml, obj.data, or a list of names: then the images are in `images`, or in a folder of it per split."""
    if path.suffix == ".data":
        return _darknet(path, root)
    if path.suffix == ".labels":  # Roboflow's Darknet: a folder per split, with images and labels
        folders = {word: [name] for name, word in _words() if (root / name).is_dir()}
        return Described(path, root, _names(_lines(path), path), folders)
    if path.suffix in (".txt", ".names"):
        names = _lines(path)
        here = {word: [f"images/{name}"] for name, word in _words() if (root / "images" / name).is_dir()}
        return Described(path, root, _names(names, path), here or {"train": ["images"]})
    try:
        data = yaml.safe_load(text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({' '.join(str(error).split())}); write it again") from error
    if not isinstance(data, dict) or "names" not in data:
        raise UserError(f"{path}: has no `names`; list the classes, such as names: [cat, dog]")
    if data.get("kpt_shape") is not None:
        raise UserError(f"{path}: describes keypoints (kpt_shape); export them as COCO for dataset=coco_keypoints")
    names = _names(data["names"], path)
    if data.get("nc") not in (None, len(names)):
        raise UserError(
            f"{path}: nc is {shown(data['nc'])}, but it has {counted(len(names), 'names')}; correct one of them"
        )
    splits = {word: _listed(data[name], path) for name, word in _words() if data.get(name) is not None}
    if not splits:
        raise UserError(f"{path}: names no images; add `train: images/train` and `val: images/val`")
    base = normal(str(data.get("path") or ""))
    return Described(path, root, names, splits, "" if base == "." or _leaves(base) else base)


def _darknet(path: Path, root: Path) -> Described:
    """Read obj.data, lines of `key = value`: the names of the classes lie in a file of their own, a line each."""
    pairs = [line.partition("=") for line in _lines(path)]
    data = {key.strip(): value.strip() for key, _, value in pairs if value.strip()}
    splits = {word: [data[name]] for name, word in _words() if name in data}
    if "names" not in data or not splits:
        raise UserError(f"{path}: has no lines for `names` and `train`; add them, such as train = data/train.txt")
    described = Described(path, root, [], splits)
    names = _lines(described.place(data["names"]))
    if data.get("classes") not in (None, str(len(names))):
        fact = f"classes is {shown(data['classes'])}, but {data['names']} has {counted(len(names), 'names')}"
        raise UserError(f"{path}: {fact}; correct one of them")
    return replace(described, names=_names(names, path))


def _lines(path: Path) -> list[str]:
    return [line.strip() for line in text(path).splitlines() if line.strip()]


def _words() -> list[tuple[str, str]]:
    return [("train", "train"), ("val", "valid"), ("valid", "valid"), ("test", "test")]


def _leaves(base: str) -> bool:
    return base.startswith("/") or ":" in base or ".." in PurePosixPath(base).parts


def _names(value: Any, path: Path) -> list[str]:
    """Return the names of a list, or of a mapping from 0, 1, ... to names."""
    listed = value
    if isinstance(value, dict) and set(value) == set(range(len(value))):
        listed = [value[number] for number in range(len(value))]
    plain = isinstance(listed, list) and all(isinstance(name, str | int | float) for name in listed)
    if isinstance(listed, list) and any(isinstance(name, bool) for name in listed):
        raise UserError(f"{path}: its names are {shown(value)}, words of YAML for true and false; write them in quotes")
    if not plain or not listed:
        raise UserError(f"{path}: its names are {shown(value)}; give a list, or a mapping of 0, 1, ... to names")
    return [str(name) for name in listed]


def _listed(value: Any, path: Path) -> list[str]:
    places = value if isinstance(value, list) else [value]
    if not all(isinstance(place, str) and place for place in places):
        raise UserError(f"{path}: {shown(value)} is no path of images; give a folder or a list of images")
    return [str(place) for place in places]


def text(path: Path) -> str:
    """Return the content of a text file, or raise UserError."""
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: has more than {LARGEST >> 20} MB; it is no such file, remove it")
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as text ({error}); write it again") from error


def label_file(image: Path, root: Path) -> Path:
    """Return the place of an image's labels: the last folder `images` becomes `labels`, the extension .txt."""
    parts = list(image.relative_to(root).parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return root.joinpath(*parts).with_suffix(".txt")


def alone(images: Iterable[Path], labels: Iterable[Path]) -> list[Path]:
    """Return the label files in the folders of `labels` without an image of their name in those of `images`."""
    known = {path.stem for folder in {image.parent for image in images} for path in folder.iterdir()}
    found = (path for folder in sorted({label.parent for label in labels}) for path in sorted(folder.glob("*.txt")))
    return [path for path in found if path.stem not in known | {"classes"}]


def rows(path: Path) -> Iterator[tuple[int, tuple[int, list[float]]]]:
    """Yield line number, class and numbers of each object; nothing if there is no file."""
    for number, line in enumerate(text(path).splitlines() if path.is_file() else (), 1):
        words = line.split()
        if not words:
            continue
        kind, *rest = words
        if len(rest) == BOX + 1 and all(NUMBER.fullmatch(word) for word in words):
            fact = "has a sixth column, as predicted boxes have their confidence"
            raise UserError(f"{path}: line {number}: {shown(line)} {fact}; remove it from each line of labels")
        wanted = len(rest) == BOX or (len(rest) >= TRIANGLE and len(rest) % 2 == 0)
        if not wanted or not all(NUMBER.fullmatch(word) for word in words) or not re.fullmatch(r"\d{1,6}(\.0+)?", kind):
            raise UserError(f"{path}: line {number}: {shown(line)}; write {FORM}")
        values = [float(word) for word in rest]
        if not all(-ROUNDING <= value <= 1 + ROUNDING for value in values):
            raise UserError(f"{path}: line {number}: {shown(line)} lies outside 0 to 1; write {FORM}")
        yield number, (int(float(kind)), values)


def fields(values: Sequence[float], size: tuple[int, int]) -> dict[str, Any]:
    """Return box or polygon of an object from fractions of an image; size: its height and width."""
    height, width = size
    if len(values) == BOX:
        x, y, w, h = values
        return {"bbox": [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]}
    return {"segmentation": [[value * (height if index % 2 else width) for index, value in enumerate(values)]]}


def like_keypoints(values: Sequence[float]) -> bool:
    """Return True if a polygon's numbers may be a box and keypoints in it, with visibilities or without.

    values: fractions of the image. Unlabelled keypoints are 0, 0.
    """
    (x, y, width, height), rest = values[:BOX], values[BOX:]
    places = [(rest[::2], rest[1::2])]
    if len(rest) % 3 == 0 and {*rest[2::3]} <= {0.0, 1.0}:
        places.append((rest[::3], rest[1::3]))
    return any(
        all(
            a == b == 0 or (abs(a - x) <= width / 2 + ROUNDING and abs(b - y) <= height / 2 + ROUNDING)
            for a, b in zip(*place, strict=True)
        )
        for place in places
    )
