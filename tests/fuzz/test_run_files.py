"""A folder in the place of each text file of runs, evaluations and sweeps; other damage is in `test_fuzz.py`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from densepred.errors import classed
from tests.fuzz.run_files import READERS

FILES = [(name, variant) for name, (_, _, count) in READERS.items() for variant in range(count)]


@pytest.mark.parametrize(("name", "variant"), FILES)
def test_a_folder_in_place_of_a_file_is_named_or_told(name: str, variant: int, tmp_path: Path) -> None:
    write, read, _ = READERS[name]
    place = tmp_path / "place"
    place.mkdir()
    path = write(place, variant)
    path.unlink()
    path.mkdir()
    sentence = refusal(read, path)
    assert sentence is None or path.name in sentence


def refusal(read: Callable[[Path], None], path: Path) -> str | None:
    """Return the sentence with which a command refuses the file; None if it is left out or not needed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read(path)
        except Exception as error:
            found = classed(error)
            if found is None:
                raise
            return str(found)
    return None
