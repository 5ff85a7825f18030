"""Ids of images and classes in files of results: those of a COCO file, or numbers of our own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densepred.dataset.coco import Id, identity, read_json
from densepred.dataset.file_names import FileNames
from densepred.errors import UserError, shown
from densepred.ops.score.average_precision import numbers


@dataclass(frozen=True, slots=True)
class Known:
    """Ids of images and classes from a COCO file."""

    images: FileNames[Id]
    categories: Sequence[Mapping[str, Any]]
    source: str


def known_ids(path: Path) -> Known:
    """Read the ids of images and categories from a COCO file. Raises UserError if it cannot be read."""
    where = f"coco_ids={path}"
    data = read_json(path)
    if not isinstance(data, dict) or not all(_mappings(data.get(key)) for key in ("images", "categories")):
        raise UserError(
            f"{where}: cannot be read as a COCO file with images and categories; give one such as "
            "instances_val2017.json"
        )
    named = []
    for number, record in enumerate(data["images"]):
        at = f"{where}: images[{number}]"
        name = record.get("file_name")
        if not isinstance(name, str) or not name:
            raise UserError(f"{at}: its file_name is {shown(name)}; give it one")
        named.append((name, identity(record, "id", at)))
    return Known(FileNames(named), data["categories"], str(path))


def image_ids(files: Sequence[Path], source: Path, known: Known | None = None) -> list[Id]:
    """Return the id of each image in JSON files: from a COCO file, else its name as a number, else its index from 1.

    COCO names images by their ids, such as 000000000139.jpg. Names are used only if all are different numbers.
    Raises UserError if an image is not in the COCO file, or several could be meant.
    """
    if known is not None:
        return _known(files, source if source.is_dir() else source.parent, known)
    return [*(numbers([file.stem for file in files]) or range(1, len(files) + 1))]


def _known(files: Sequence[Path], folder: Path, known: Known) -> list[Id]:
    above = Path(os.path.abspath(folder)).as_posix()
    names = [file.relative_to(folder).as_posix() for file in files]
    found = [known.images.find(name, above) for name in names]
    where = f"coco_ids={known.source}"
    if missing := [name for name, ids in zip(names, found, strict=True) if not ids]:
        raise UserError(
            f"{where}: {len(missing)} of {len(files)} images are not in it, such as {missing[0]}; give the file that "
            "lists them"
        )
    if several := [(name, ids) for name, ids in zip(names, found, strict=True) if len(ids) > 1]:
        name, ids = several[0]
        raise UserError(
            f"{where}: {name} may be the image {' or '.join(sorted(map(str, ids))[:3])}; give input= the folder at "
            "which its file names begin"
        )
    out = [next(iter(ids)) for ids in found]
    owners: dict[Id, str] = {}
    for name, id in zip(names, out, strict=True):
        if id in owners:
            raise UserError(f"{where}: {owners[id]} and {name} are both its image {shown(id)}; predict one of them")
        owners[id] = name
    return out


def _mappings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
