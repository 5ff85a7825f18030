"""The package of another program, imported when its logger is chosen, and the id of a resumed run there."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from densepred.errors import UserError


def package(name: str, extra: str) -> ModuleType:
    """Import a package that is needed only by the logger of its name. Raises UserError with the command to install."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != name:
            raise
        raise UserError(
            f"logger={name}: the package {name} is missing; type pip install 'densepred[{extra}]'"
        ) from error


class RunId:
    """The id under which a program knows the run, in a file of the run folder: a resumed run goes on under it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}_id.txt"

    def read(self) -> str | None:
        return self.path.read_text(encoding="utf-8").strip() or None if self.path.is_file() else None

    def write(self, id: str) -> None:
        self.path.write_text(f"{id}\n", encoding="utf-8")
