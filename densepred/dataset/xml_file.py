"""Small XML files of unknown origin: bounded, and without document types, which can expand or fetch without end."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree
from xml.parsers import expat

from densepred.errors import UserError

LARGEST = 1 << 22
"""Bytes of the file of one image."""


class _Declared(Exception):  # noqa: N818, it is caught here
    """The file declares a document type."""


def read(path: Path, largest: int = LARGEST) -> ElementTree.Element:
    """Return the outermost element, or raise UserError if the file is damaged, too large, or declares entities.

    largest: bytes of the largest file that is read
    """
    try:
        if path.stat().st_size > largest:
            raise UserError(f"{path}: has more than {largest >> 20} MB; remove it, or export fewer images at once")
        data = path.read_bytes()
        _refuse_declarations(data)
        return ElementTree.fromstring(data)
    except _Declared as error:
        raise UserError(f"{path}: declares a document type or entities, which are not read; remove them") from error
    except (OSError, expat.ExpatError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{path}: cannot be read as XML ({error}); write it again") from error


def _refuse_declarations(data: bytes) -> None:
    def refuse(*_: object) -> None:
        raise _Declared

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.Parse(data, True)
