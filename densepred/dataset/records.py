"""Images and objects of another program's files, gathered as records of COCO's, so that COCO's checks serve them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from densepred.dataset import coco
from densepred.dataset.coco import CocoFile, Record
from densepred.dataset.coco_choice import Choice
from densepred.dataset.facts import counted
from densepred.dataset.image_file import EXTENSIONS, check_pixels
from densepred.dataset.image_header import read_header
from densepred.dataset.palette import Colour
from densepred.errors import Notice, UserError, shown

TURNED = 5
"""EXIF orientations from here on exchange height and width."""

OTHER_SIZE = "images of another size than their annotation files give, whose objects may lie elsewhere; resize them"


class Records:
    """`path` is the file or folder that messages name; image files lie below `folder`."""

    def __init__(self, path: Path, folder: Path, max_pixels: int, upright: bool = True) -> None:
        self.path, self.folder = path, folder
        self._max_pixels, self._upright = max_pixels, upright
        self._images: list[Record] = []
        self._objects: list[Record] = []
        self.told: Counter[str] = Counter()
        """Counts of what a notice tells, such as shapes that are left out."""
        self.lost: list[tuple[Path, object]] = []
        """Annotation files, and the names of images in them that are missing."""
        self.listed: list[str] = []
        """Classes that the annotation files list, in their order; empty if they list none."""
        self.colours: dict[str, Colour] = {}
        """Colours of classes by their names, where the files give some."""

    def __len__(self) -> int:
        return len(self._images)

    def names(self) -> set[str]:
        """Return the paths of the images below `folder`."""
        return {record["file_name"] for record in self._images}

    def unread(self, folder: Path, what: str) -> None:
        """Count the image files below a folder that are none of the images, such as those without annotations."""
        known = self.names()
        found = (path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
        names = (path.relative_to(self.folder) for path in found)
        visible = (name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))
        self.told[what] += sum(name not in known for name in visible)

    def image(self, file: Path, size: tuple[int, int] | None = None) -> int:
        """Add an image and return its number. Without a `size` (height, width), that of the file's header counts."""
        if size is None:
            header = read_header(file, self._max_pixels)
            turned = self._upright and header.orientation >= TURNED
            size = (header.size[1], header.size[0]) if turned else header.size
        check_pixels(file, *size, self._max_pixels)  # before masks of this size are drawn
        name = file.relative_to(self.folder).as_posix()
        number = len(self._images) + 1
        self._images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        return number

    def size(self, image: int) -> tuple[int, int]:
        """Return height and width of an image."""
        record = self._images[image - 1]
        return record["height"], record["width"]

    def compare(self, image: int, height: object, width: object) -> None:
        """Count an image if its annotation file gives it another size; 0 and sides in another order are passed over."""
        try:
            given = (int(str(height)), int(str(width)))
        except ValueError:
            return
        if min(given) > 0 and sorted(given) != sorted(self.size(image)):
            self.told[OTHER_SIZE] += 1

    def add(self, image: int, label: str, place: str, **fields: Any) -> None:
        """Add an object of the class `label`; `place` names its file and its number there, and is unique."""
        self._objects.append({"id": place, "image_id": image, "label": label, **fields})

    def list_classes(self, names: Sequence[str], colours: Mapping[str, Colour]) -> None:
        """Add classes that an annotation file lists; the first file that gives one a colour counts."""
        self.listed += [name for name in names if name not in self.listed]
        self.colours = {**colours, **self.colours}

    def place(self, path: Path, what: str) -> str:
        """Return the place of an object, which is unique: its annotation file and its number there."""
        return f"{path.relative_to(self.folder).as_posix()}, {what}"

    def leave_out(self, what: str, why: str = "they mark no area") -> None:
        """Count one of several things that are left out, such as "shapes of the type line"."""
        self.told[f"{what} left out, because {why}"] += 1

    def labels(self) -> list[str]:
        """Return the classes that the files list; otherwise those of the objects, sorted."""
        return self.listed or sorted({record["label"] for record in self._objects})

    def file(self, classes: Sequence[str], choice: Choice, fractions: dict[str, float], **fields: Any) -> CocoFile:
        """Return the records of the chosen split as a checked COCO file. Raises UserError for objects of no class.

        fields: further ones of every category, such as the names of its keypoints
        """
        numbers = {name: number for number, name in enumerate(classes, 1)}
        for record in self._objects:
            label = record.pop("label")
            if label not in numbers:
                raise UserError(
                    f"{self.path}: {record['id']}: its label {shown(label)} is not among the classes "
                    f"{shown(list(classes))}; correct it, or name all in dataset.classes"
                )
            record["category_id"] = numbers[label]
        categories = [
            {"id": number, "name": name, "color": self._colour(name), **fields} for name, number in numbers.items()
        ]
        data: Record = {"images": self._images, "annotations": self._objects, "categories": categories}
        entries = coco.read_entries(data, self.path, self.folder, self._max_pixels)
        known = coco.read_categories(data, self.path)
        if fractions or choice.folded:
            entries = coco.part(data, entries, fractions, choice)
        self._tell()
        shared = fractions or choice.folded or self.path.is_dir()
        return CocoFile(self.path, "", data, entries, known, choice.word if shared else "")

    def _colour(self, name: str) -> list[int] | None:
        return list(self.colours[name]) if name in self.colours else None

    def _tell(self) -> None:
        if facts := [counted(times, what) for what, times in self.told.most_common() if times]:
            warnings.warn(f"{self.path}: {'; '.join(facts)}", Notice, stacklevel=2)


def size_given(height: object, width: object, where: object) -> tuple[int, int]:
    """Return the size that an annotation file gives its image, or raise UserError if it is no size in pixels."""
    return _pixels(height, where), _pixels(width, where)


def _pixels(value: object, where: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{where}: its height or width is {shown(value)}; give pixels above 0")
    return value
