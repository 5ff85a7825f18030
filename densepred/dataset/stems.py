"""Images that annotation files name by their own names alone: `a.geojson` is of `a.tif`."""

from __future__ import annotations

from pathlib import Path

from densepred.dataset.file_names import FileNames
from densepred.dataset.listing import image_files
from densepred.errors import UserError


class Stems:
    """The image files below a folder, by their paths with and without extension."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        named = [(file.relative_to(folder), file) for file in image_files(folder)]
        self._names = FileNames((text, file) for path, file in named for text in (str(path), str(path.with_suffix(""))))
        self._inside: dict[Path, list[Path]] = {}
        for _, file in named:
            self._inside.setdefault(file.parent, []).append(file)

    def find(self, name: str, path: Path) -> Path | None:
        """Return the image of an annotation file with this name, None without one. Raises UserError for several.

        name: path of the annotation file below its folder, without extension; path: the file, for messages
        """
        found = sorted(self._names.find(name))
        if len(found) > 1:
            names = " and ".join(str(file.relative_to(self.folder)) for file in found[:2])
            raise UserError(f"{path}: fits {names}; give the image and the annotation file one name of their own")
        return found[0] if found else None

    def only(self, folder: Path) -> Path | None:
        """Return the image in a folder if there is a single one."""
        found = self._inside.get(folder, [])
        return found[0] if len(found) == 1 else None
