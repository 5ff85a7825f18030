"""From the nodes of a configuration to parts, and the nodes that a checkpoint stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from densepred import distributed
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.settings import DataSettings
from tests.conftest import composed
from tests.dataset import trees


def test_a_stored_node_downloads_nothing() -> None:
    node = {"encoder": {"name": "x", "pretrained": True}, "list": [{"pretrained": True}], "n": 1}
    assert parts.stored(node) == {
        "encoder": {"name": "x", "pretrained": False},
        "list": [{"pretrained": False}],
        "n": 1,
    }
    assert node["encoder"]["pretrained"] is True


@pytest.mark.parametrize(
    ("world", "images", "expected"),
    [(1, 500, 8), (1, 3, 3), (2, 500, 4), (8, 500, 1), (2, 4, 2), (2, 3, 2), (4, 1, 1)],
)
def test_a_validation_batch_is_the_share_of_a_device(
    world: int, images: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "world", lambda: world)
    settings = DataSettings(batch_size=8)
    assert parts.in_validation(settings, images).valid_batch_size == expected
    chosen = DataSettings(batch_size=8, valid_batch_size=3)
    assert parts.in_validation(chosen, images).valid_batch_size == 3


@pytest.mark.parametrize(("option", "file"), [("nifti", "imagesTr/case0_0000.nii.gz"), ("yolo", "images/train/a.png")])
def test_a_damaged_file_that_a_dataset_needs_at_once_is_refused_and_the_key_explained(
    tmp_path: Path, option: str, file: str
) -> None:
    trees.draw(option, tmp_path)
    (tmp_path / file).write_bytes(b"")
    node = OmegaConf.to_container(composed(f"dataset={option}", f"dataset.root={tmp_path}").dataset, resolve=True)
    assert isinstance(node, dict)
    for skip in (False, True):
        with pytest.raises(UserError, match=r"is empty \(0 bytes\); replace or remove the file") as raised:
            parts.dataset({str(key): value for key, value in node.items()}, "train", skip)
        assert ("data.on_bad=skip leaves out what training alone reads" in str(raised.value)) == skip


def test_a_logger_that_cannot_begin_is_named(tmp_path: Path) -> None:
    def make(folder: Path, config: Any) -> Any:
        raise ConnectionError("no route")

    with pytest.raises(
        UserError, match=r"^logger\.mine: cannot begin \(ConnectionError: no route\); .* choose another"
    ):
        parts.make_logger("mine", make, tmp_path, {})
