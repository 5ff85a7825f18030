"""COCO JSON files: reading, checking, and an index of the annotations of each image.

Source: https://cocodataset.org/#format-data

The file is read once and checked whole. The index keeps one compact text per image and parses it on access. 118
thousand images then take some hundred MB that the processes of a loader share, instead of GB of small objects.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from densepred.dataset import layouts, paths
from densepred.dataset.alike import tell_alike
from densepred.dataset.beyond import beyond
from densepred.dataset.coco_choice import Choice
from densepred.dataset.facts import counted
from densepred.dataset.image_file import check_pixels
from densepred.dataset.palette import Colour, default_palette
from densepred.dataset.paths import Patterns, inside
from densepred.errors import MachineError, Notice, UserError, shown

Id = int | str
Record = dict[str, Any]

SPLITS = {"train": ("train2017", "train"), "valid": ("val2017", "val"), "test": ("test2017", "test")}
"""Names in the official tree, or plain ones."""

_SIDE = 1 << 20  # no image is larger; keeps products of JSON's unbounded numbers small


@dataclass(frozen=True, slots=True)
class Entry:
    """An image of the file. `name` is its path without extension, as users know it."""

    id: Id
    path: Path
    name: str
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CocoFile:
    """A COCO JSON file, checked. `split_name` stands for {split} in its path.

    part: the split, if other splits have the same path, so that notices tell them apart
    """

    path: Path
    split_name: str
    data: Record
    entries: dict[Id, Entry]
    categories: dict[Id, Record]
    part: str = ""

    @property
    def place(self) -> str:
        """Return the path as notices name it."""
        return f"{self.path} ({self.part})" if self.part else str(self.path)

    def images(self) -> list[Path]:
        """Return the image files."""
        return [entry.path for entry in self.entries.values()]


class Skip(Exception):  # noqa: N818, it is no error
    """An annotation without content, as an empty polygon: it is left out and counted."""


def open_file(root: str, images: Patterns, annotations: Patterns, max_pixels: int, choice: Choice) -> CocoFile:
    """Read and check the JSON file of a split, and find the folder of its images."""
    fractions = paths.fractions(choice.splits, choice.source)
    if fractions:
        paths.of_split(fractions, choice.source)
        images, annotations = undivided(images), undivided(annotations)
    names = [""] if fractions else paths.split_names(choice.splits, choice.source)
    others = [] if fractions else paths.other_words(choice.source, names)
    try:
        path, name = paths.find(root, annotations, [*names, *others], "annotations")
        folder, _ = paths.find(root, images, [name], "images")
    except UserError as error:
        known = layouts.explained(error, paths.dataset_root(root), "coco_instances")
        absent = paths.split_word(choice.source) == "test" and "type dataset=coco_" in str(known)
        raise (error if absent else known) from error  # words that read the other splits are no remedy for this one
    if name in others:
        paths.tell_other(path, names, choice.source, "annotations")
    data = load(path)
    entries, categories = read_entries(data, path, folder, max_pixels), read_categories(data, path)
    if fractions or choice.folded:
        entries = part(data, entries, fractions, choice)
    if choice.folded and not fractions:
        choice.tell_named(root, annotations, path)
    return CocoFile(path, name, data, entries, categories, choice.word if fractions or choice.folded else "")


def undivided(patterns: Patterns) -> list[str]:
    """Return the patterns without {split} and the mark beside it; the root itself comes last."""
    several = [patterns] if isinstance(patterns, str) else list(patterns)
    found = [re.sub(r"^\{split\}/|[_/-]?\{split\}", "", str(pattern)) for pattern in several]
    return sorted(found, key=lambda pattern: pattern == "")


def part(data: Record, entries: dict[Id, Entry], fractions: Mapping[str, float], choice: Choice) -> dict[Id, Entry]:
    """Return the images of the chosen split, and drop the annotations of the others from `data`."""
    chosen = choice.members([entry.name for entry in entries.values()], fractions)
    kept = {id: entry for (id, entry), wanted in zip(entries.items(), chosen, strict=True) if wanted}
    others = entries.keys() - kept.keys()
    data["annotations"] = [
        record
        for record in data["annotations"]
        if not (isinstance(record.get("image_id"), int | str) and record["image_id"] in others)
    ]
    return kept


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or raise UserError if it is absent or damaged."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file; check the path") from error
    except (ValueError, OSError, RecursionError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: cannot be read as JSON ({reason}); download or write it again") from error
    except MemoryError as error:
        raise MachineError(f"{path}: not enough memory to read it; close other programs, or divide the file") from error


def load(path: Path) -> Record:
    """Return the file as plain values; `images`, `annotations` and `categories` are lists of mappings."""
    if not path.is_file():
        raise UserError(f"{path}: is no file; check dataset.root, dataset.annotations and dataset.splits")
    data = read_json(path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: holds no mapping; give a COCO file, with images, annotations and categories")
    for key in ("images", "annotations", "categories"):
        if not isinstance(data.get(key), list) or not all(isinstance(entry, dict) for entry in data[key]):
            raise UserError(f"{path}: {key!r} is no list of mappings; write it again in COCO's format")
    return data


def identity(record: Mapping[str, Any], key: str, where: str) -> Id:
    """Return the id under `key`, or raise UserError if it is neither a whole number nor a name."""
    value = record.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UserError(f"{where}: its {key} is {shown(value)}; give a whole number or a name")
    return value


SINGULAR = {"images": "image", "categories": "category", "annotations": "annotation"}


def own_identity(record: Record, place: str, path: Path, seen: Container[Id]) -> tuple[Id, str]:
    """Return the id of an entry of a list, and its name in messages; raise UserError if the id was seen before.

    place: the list and the number in it, such as "images[3]"
    """
    id, word = identity(record, "id", f"{path}: {place}"), SINGULAR[place.partition("[")[0]]
    where = f"{path}: {word} {shown(id)}"
    if id in seen:
        raise UserError(f"{where}: the id is given twice; give each {word} its own")
    return id, where


def read_entries(data: Record, path: Path, folder: Path, max_pixels: int) -> dict[Id, Entry]:
    """Return the images by their ids, in the order of the file."""
    out: dict[Id, Entry] = {}
    files: dict[Path, Id] = {}
    for number, record in enumerate(data["images"]):
        id, where = own_identity(record, f"images[{number}]", path, out)
        height, width = record.get("height"), record.get("width")
        for side in (height, width):
            if not isinstance(side, int) or not 1 <= side <= _SIDE:
                raise UserError(f"{where}: height and width are {shown([height, width])}; give pixels above 0")
        file = inside(folder, record.get("file_name"), where)
        if files.setdefault(file, id) != id:
            first = shown(files[file])
            raise UserError(
                f"{where}: its file is that of image {first} too, which would lack the others' annotations; "
                f"list {file.name!r} once"
            )
        assert isinstance(height, int)
        assert isinstance(width, int)
        check_pixels(file, height, width, max_pixels)
        out[id] = Entry(id, file, file.relative_to(folder).with_suffix("").as_posix(), (height, width))
    if not out:
        raise UserError(f"{path}: lists no images; check dataset.annotations")
    return out


def read_categories(data: Record, path: Path) -> dict[Id, Record]:
    """Return the categories by their ids, in the order of the file; their names are distinct."""
    out: dict[Id, Record] = {}
    for number, record in enumerate(data["categories"]):
        id, where = own_identity(record, f"categories[{number}]", path, out)
        name = record.get("name")
        if not isinstance(name, str) or not name:
            raise UserError(f"{where}: its name is {shown(name)}; give it one")
        out[id] = record
    twice = [name for name, times in Counter(record["name"] for record in out.values()).items() if times > 1]
    if twice:
        raise UserError(f"{path}: the category {shown(twice[0])} is given twice; give each its own name")
    if not out:
        raise UserError(f"{path}: lists no categories; add them")
    tell_alike(path, [record["name"] for record in out.values()])
    return out


def palette(categories: Mapping[Id, Record], path: Path, first: int = 0) -> tuple[Colour, ...]:
    """Return the colour per category: its `color`, else a default one, where the first category is class `first`."""
    defaults = default_palette(first + len(categories))[first:]
    return tuple(
        default if record.get("color") is None else _colour(record["color"], f"{path}: category {shown(id)}")
        for (id, record), default in zip(categories.items(), defaults, strict=True)
    )


def _colour(value: object, where: str) -> Colour:
    if isinstance(value, list) and len(value) == 3 and all(isinstance(v, int) and 0 <= v <= 255 for v in value):
        return (int(value[0]), int(value[1]), int(value[2]))
    raise UserError(f"{where}: its color is {shown(value)}; give red, green and blue, each 0 to 255")


Read = Callable[[Record, Entry, str, Counter[str]], Record | None]
"""Returns what to keep of an annotation, or None, or raises Skip; counts what it changed in the last argument."""


class Index:
    """Annotations per image. What `read` leaves out or changes is counted and told in one notice.

    `usual` is a change that is not told if it holds for all annotations. `beyond` counts the boxes and polygons of the
    file, per name of an image, that reach beyond it.
    """

    def __init__(self, file: CocoFile, read: Read, usual: str = "") -> None:
        path, entries = file.path, file.entries
        self.entries = list(entries.values())
        self.usual = usual
        self.skipped: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.beyond: Counter[str] = Counter()
        kept: dict[Id, list[Record]] = {id: [] for id in entries}
        seen: set[Id] = set()
        for number, record in enumerate(file.data["annotations"]):
            id, where = own_identity(record, f"annotations[{number}]", path, seen)
            seen.add(id)
            image = identity(record, "image_id", where)
            if image not in entries:
                raise UserError(f"{where}: its image_id {shown(image)} is not among the images; add or remove it")
            try:
                found = read(record, entries[image], where, self.changed)
            except Skip as reason:
                self.skipped[str(reason)] += 1
                found = None
            self.beyond[entries[image].name] += beyond(record, entries[image].size)
            if found is not None:
                kept[image].append({"id": id, **found})
        self.kept = sum(map(len, kept.values()))
        self.classes = {record.get("class") for records in kept.values() for record in records}
        self._texts = [json.dumps(kept.pop(entry.id), separators=(",", ":")).encode() for entry in self.entries]
        self._tell(file.place, len(seen))

    def _tell(self, place: str, total: int) -> None:
        told = {what: times for what, times in self.changed.items() if what != self.usual or times < self.kept}
        facts = [counted(times, what) for what, times in told.items()]
        if self.skipped:
            reasons = ", ".join(counted(times, reason) for reason, times in self.skipped.most_common())
            facts.insert(0, f"{self.skipped.total()} of {total} annotations left out ({reasons})")
        if facts:
            warnings.warn(f"{place}: {'; '.join(facts)}", Notice, stacklevel=2)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[Entry, list[Record]]:
        return self.entries[index], json.loads(self._texts[index])

    def keep(self, wanted: Callable[[list[Record]], bool], limit: int | None) -> None:
        """Keep only the first `limit` images for which `wanted(annotations)` holds."""
        chosen = []
        for index in range(len(self)):
            if limit is not None and len(chosen) >= limit:
                break
            if wanted(json.loads(self._texts[index])):
                chosen.append(index)
        self.entries = [self.entries[index] for index in chosen]
        self._texts = [self._texts[index] for index in chosen]
