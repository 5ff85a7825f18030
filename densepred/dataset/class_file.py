"""The file classes.json: names of classes with their ids and colours, in any of the forms that people write."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from densepred.dataset.facts import counted
from densepred.dataset.palette import Colour, parse_colour
from densepred.errors import Notice, UserError, shown

FORM = '{"classes": [{"id": 0, "name": "road", "color": [128, 64, 128]}, ...]}'
COLOURS = ("color", "colour", "rgb")
PALETTES = ("palette", "colors", "colours")
KNOWN = {"classes", "ignore_index", *PALETTES}


class Entry(NamedTuple):
    id: int
    name: str
    colour: Colour | None
    ignore: bool


def read(path: Path, unlabelled: int | None = None) -> tuple[list[Entry], int | None]:
    """Return the classes of the file and the id of void pixels. Classes without an id leave out `unlabelled`.

    Raises UserError if the file has another form.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: is no JSON file ({error}); write {FORM}") from error
    if not isinstance(data, dict) or "classes" not in data:
        data = {"classes": data}
    classes = _listed(data["classes"], path)
    free = [index for index in range(len(classes) + 1) if index != unlabelled]
    entries = [_entry(free[index], entry, path) for index, entry in enumerate(classes)]
    palette = next((data[key] for key in PALETTES if data.get(key) is not None), None)
    if palette is not None:
        entries = _painted(entries, palette, path)
    if unknown := sorted(set(data) - KNOWN):
        verb = "is" if len(unknown) == 1 else "are"
        warnings.warn(f"{path}: {', '.join(map(shown, unknown))} {verb} not read", Notice, stacklevel=2)
    ignored = data.get("ignore_index")
    return entries, None if ignored is None else _whole(ignored, "ignore_index", path)


def text(classes: Sequence[Mapping[str, Any]], ignore_index: int | None = None) -> bytes:
    """Return the content of a file with one class per line, so that names and colours are easily edited."""
    lines = ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in classes)
    void = "" if ignore_index is None else f',\n "ignore_index": {ignore_index}'
    return f'{{\n "classes": [\n{lines}\n ]{void}\n}}\n'.encode("utf-8", "backslashreplace")


def _listed(classes: Any, path: Path) -> list[Any]:
    """Return the classes as a list; mappings of ids to names, or of names to ids, in the order of their ids."""
    if isinstance(classes, list) and classes:
        return classes
    if isinstance(classes, dict) and classes:
        pairs = list(classes.items())
        if all(re.fullmatch(r"\d{1,9}", key) and isinstance(name, str) for key, name in pairs):
            return [{"id": int(key), "name": name} for key, name in sorted(pairs, key=lambda pair: int(pair[0]))]
        if all(isinstance(number, int) and not isinstance(number, bool) for _, number in pairs):
            return [{"id": number, "name": name} for name, number in sorted(pairs, key=lambda pair: pair[1])]
    raise UserError(f"{path}: its classes are {shown(classes)}; write {FORM}")


def _entry(index: int, entry: Any, path: Path) -> Entry:
    if isinstance(entry, str):
        return Entry(index, entry, None, False)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise UserError(f"{path}: class {index} is {shown(entry)}, without a name; write {FORM}")
    colour = next((entry[key] for key in COLOURS if entry.get(key) is not None), None)
    ignore = entry.get("ignore", False)
    if not isinstance(ignore, bool):
        raise UserError(f"{path}: ignore of {shown(entry['name'])} is {shown(ignore)}; write true or false")
    rgb = None if colour is None else parse_colour(colour, f"{path}: the colour of {shown(entry['name'])}")
    return Entry(_whole(entry.get("id", index), f"the id of {shown(entry['name'])}", path), entry["name"], rgb, ignore)


def _painted(entries: list[Entry], palette: Any, path: Path) -> list[Entry]:
    """Return the entries with the colours of a list beside them, in the order of the classes."""
    if not isinstance(palette, list) or len(palette) != len(entries):
        count = len(palette) if isinstance(palette, list) else shown(palette)
        raise UserError(
            f"{path}: {count} colours for {counted(len(entries), 'classes')}; give one [red, green, blue] each"
        )
    if any(entry.colour for entry in entries):
        raise UserError(f"{path}: has colours in its classes and in a list; remove one of them")
    colours = [
        parse_colour(colour, f"{path}: the colour of {shown(entry.name)}")
        for entry, colour in zip(entries, palette, strict=True)
    ]
    return [entry._replace(colour=colour) for entry, colour in zip(entries, colours, strict=True)]


def _whole(value: Any, name: str, path: Path) -> int:
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip()):
        return int(value)
    if type(value) is not int:
        raise UserError(f"{path}: {name} is {shown(value)}; write a whole number")
    return value
