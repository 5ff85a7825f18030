from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from densepred.dataset.folder import Folder
from densepred.dataset.instance_folder import InstanceFolder
from densepred.errors import Notice, UserError
from tests.dataset.files import write

VALUES = np.arange(48, dtype=np.uint8).reshape(6, 8)
BAD = ("images/train/00.png", "masks/train/03.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Grey images, of which mean and std are measured, with a truncated image and a truncated mask."""
    for number in range(6):
        write(tmp_path / f"images/train/{number:02d}.png", VALUES + number)
        write(tmp_path / f"masks/train/{number:02d}.png", VALUES % (2 + (number == 5)))
    return tmp_path


def damage(root: Path) -> None:
    for name in BAD:
        (root / name).write_bytes((root / name).read_bytes()[:45])


def test_classes_and_statistics_are_those_of_the_files_that_can_be_read(root: Path, tmp_path: Path) -> None:
    whole = Folder(str(root), on_bad="skip")
    assert whole.info == Folder(str(root)).info
    damage(root)
    with pytest.raises(UserError, match=r"03\.png: cannot be read"):
        Folder(str(root))
    with pytest.warns(Notice, match="2 of 6 training samples cannot be read, such as '00'; classes, mean and std"):
        found = Folder(str(root), on_bad="skip")
    assert len(found) == 6  # the loader leaves the files out and counts them
    assert found.info.classes == ("class_0", "class_1", "class_2")
    kept = np.stack([VALUES + number for number in (1, 2, 4, 5)]) / 255
    assert found.info.mean == (round(float(kept.mean()), 4),)
    assert found.info.std == (round(float(kept.std()), 4),)


def test_maps_of_instances_are_passed_over_too(root: Path) -> None:
    damage(root)
    with pytest.raises(UserError, match="cannot be read"):
        InstanceFolder(str(root), masks="masks/{split}")
    with pytest.warns(Notice, match="2 of 6 training samples"):
        assert len(InstanceFolder(str(root), masks="masks/{split}", on_bad="skip")) == 6


def test_a_fault_of_all_files_is_an_error_as_before(root: Path) -> None:
    for path in (root / "images/train").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"00\.png: cannot be read"):
        Folder(str(root), on_bad="skip")
