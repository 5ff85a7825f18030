"""Names, ids and colours of classes in the files that annotation programs write beside their masks."""

from __future__ import annotations

import csv
import json
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from densepred.dataset.class_file import Entry
from densepred.dataset.coco import read_json
from densepred.dataset.facts import counted
from densepred.dataset.palette import parse_colour
from densepred.errors import Notice, UserError, in_shell, shown
from densepred.home import in_quotes
from densepred.types import MAX_CLASSES

Lists = Callable[[Path], list[Entry]]


def find(folders: Iterable[Path]) -> tuple[Path, list[Entry]] | None:
    """Return the first file that names classes in any of the folders, and its classes; a notice tells it."""
    for folder in folders:
        for name, read in FILES.items():
            if (path := folder / name).is_file() and (entries := read(path)):
                warnings.warn(f"{path}: names {counted(len(entries), 'classes')} of the masks", Notice, stacklevel=2)
                return path, entries
    return None


def labelmap(path: Path) -> list[Entry]:
    """Read CVAT's labelmap.txt, lines `name:red,green,blue:parts:actions`; the line number is the id.

    Source: https://docs.cvat.ai/docs/manual/advanced/formats/format-smask/
    """
    rows = [line.split(":") for line in _lines(path) if line and not line.startswith("#")]
    entries = list[Entry]()
    for index, row in enumerate(rows):
        parts = row[1].split(",") if len(row) > 1 else []
        if not all(re.fullmatch(r"\s*\d{1,3}\s*", part) for part in parts) or not row[0]:
            raise UserError(f"{path}: {shown(':'.join(row))} is no class; write name:red,green,blue::")
        where = f"{path}: the colour of {shown(row[0])}"
        entries.append(Entry(index, row[0], parse_colour([*map(int, parts)], where) if parts else None, False))
    return entries


def label_colours(path: Path) -> list[Entry]:
    """Read label_colors.txt of CamVid, which CVAT and Datumaro write too: `red green blue name`, id by line.

    Source: http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/
    """
    entries = list[Entry]()
    for index, line in enumerate(line for line in _lines(path) if line and not line.startswith("#")):
        found = re.fullmatch(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)", line)
        if found is None:
            raise UserError(f"{path}: {shown(line)} is no class; write red green blue name")
        colour = parse_colour([int(part) for part in found.groups()[:3]], f"{path}: the colour of {shown(found[4])}")
        entries.append(Entry(index, found[4], colour, False))
    return entries


def pixel_values(path: Path) -> list[Entry]:
    """Read Roboflow's _classes.csv, with the columns `Pixel Value` and `Class`; one of another form names no classes.

    Source: https://roboflow.com/formats/semantic-segmentation-masks
    """
    rows = [[cell.strip() for cell in row] for row in csv.reader(_lines(path)) if row]
    if not rows or [cell.casefold() for cell in rows[0][:2]] != ["pixel value", "class"]:
        return []
    entries = list[Entry]()
    for row in rows[1:]:
        if len(row) < 2 or not re.fullmatch(r"\d{1,5}", row[0]) or not row[1]:
            raise UserError(f"{path}: the line {shown(','.join(row))} is no class; write id, name")
        entries.append(Entry(int(row[0]), row[1], None, False))
    return entries


def lines(path: Path) -> list[Entry]:
    """Read class_names.txt of labelme's converter to VOC: a name per line, where the first one has the id 0.

    Source: https://github.com/wkentaro/labelme/blob/main/examples/semantic_segmentation/labelme2voc.py
    """
    return [Entry(index, name, None, False) for index, name in enumerate(filter(None, _lines(path)))]


def nnunet(path: Path) -> list[Entry]:
    """Read nnU-Net's dataset.json, `labels` of names to ids (or, in version 1, of ids to names); `ignore` is void.

    Source: https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
    """
    try:
        data = json.loads("\n".join(_lines(path)))
    except (ValueError, RecursionError):
        return []
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(labels, dict):
        return []
    _refuse_regions(labels, path)
    return sorted(_label(name, value, path) for name, value in labels.items())


def _refuse_regions(labels: dict[str, Any], path: Path) -> None:
    """Raise UserError if a label is a region of several ids, with the word that makes each id a class."""
    regions = {name: value for name, value in labels.items() if isinstance(value, list)}
    if not regions:
        return
    plain = {value: name for name, value in labels.items() if type(value) is int and name != "ignore"}
    ids = [id for value in regions.values() for id in value if type(id) is int and 0 <= id < MAX_CLASSES]
    names = [plain.get(id, f"label_{id}") for id in range(max([*ids, *plain], default=0) + 1)]
    name, value = next(iter(regions.items()))
    word = in_shell(f"dataset.classes=[{','.join(map(_word, names))}]")
    fact = f"{path}: the label {shown(name)} is a region of several ids {shown(value)}, and classes do not overlap"
    raise UserError(f"{fact}; to make each id a class, type {word}")


def _word(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII) else in_quotes(name)


def _label(name: str, value: Any, path: Path) -> Entry:
    if isinstance(value, str) and re.fullmatch(r"\d{1,5}", name):
        name, value = value, int(name)
    if type(value) is not int:
        raise UserError(f"{path}: the label {shown(name)} is {shown(value)}; write its id in masks")
    return Entry(value, name, None, name == "ignore")


def vistas(path: Path) -> tuple[list[Entry], set[int]]:
    """Read config.json of Mapillary Vistas: its labels in the order of their ids, and the ids of those with instances.

    Labels that it does not evaluate are void. Where two have one readable name, the whole counts: `nature--snow`.
    """
    data = read_json(path)
    listed = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(label, dict) for label in listed):
        raise UserError(f"{path}: lists no labels; copy it from the archive again")
    texts = [str(label.get("readable") or label.get("name")) for label in listed]
    twice = {text for text in texts if texts.count(text) > 1}
    entries, things = list[Entry](), set[int]()
    for id, (label, text) in enumerate(zip(listed, texts, strict=True)):
        where = f"{path}: label {id}"
        flags = [label.get(key) for key in ("evaluate", "instances")]
        if not all(isinstance(flag, bool) for flag in flags) or not isinstance(label.get("name"), str):
            raise UserError(
                f"{where} is {shown(label)}; name, evaluate and instances are expected: copy the file again"
            )
        colour = parse_colour(label.get("color"), f"{where}: its colour")
        entries.append(Entry(id, label["name"] if text in twice else text, colour, not label["evaluate"]))
        if label["instances"]:
            things.add(id)
    return entries, things


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); save it as UTF-8, or give dataset.classes") from error


FILES: dict[str, Lists] = {
    "labelmap.txt": labelmap,
    "label_colors.txt": label_colours,
    "_classes.csv": pixel_values,
    "dataset.json": nnunet,
    "class_names.txt": lines,
}
