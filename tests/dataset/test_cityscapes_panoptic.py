from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from densepred.dataset.cityscapes_panoptic import CityscapesPanoptic
from densepred.types import VOID, UserError
from tests.dataset.files import picture, write

NAME = "aachen/aachen_000000_000019"
THINGS = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")


def tree(root: Path, ids: np.ndarray) -> CityscapesPanoptic:
    write(root / f"leftImg8bit/train/{NAME}_leftImg8bit.png", picture(ids.shape))
    write(root / f"gtFine/train/{NAME}_gtFine_instanceIds.png", ids.astype(np.uint16))
    write(root / f"gtFine/train/{NAME}_gtFine_labelIds.png", (ids % 7).astype(np.uint8))
    return CityscapesPanoptic(str(root))


def test_ids_become_classes_instances_and_crowds(tmp_path: Path) -> None:
    """Road, a group of cars, two cars, a bicycle, a trailer and the own car (void)."""
    ids = np.repeat(np.array([[7], [26], [26001], [26000], [33002], [30001], [1]]), 9, 1)
    data = tree(tmp_path, ids)
    assert tuple(data.info.classes[i] for i in data.info.things) == THINGS
    sample = data[0]
    assert sample.frame.id == NAME
    truth = sample.truth
    assert truth.semantic is not None
    assert truth.instances is not None
    assert truth.categories is not None
    assert truth.crowd is not None
    assert truth.boxes is not None
    assert truth.areas is not None
    assert truth.semantic[:, 0].tolist() == [0, 13, 13, 13, 18, VOID, VOID]
    assert truth.instances[:, 0].tolist() == [0, 1, 3, 2, 4, 0, 0]
    assert truth.categories.tolist() == [13, 13, 13, 18]
    assert truth.crowd.tolist() == [True, False, False, False]
    assert truth.areas.tolist() == [9] * 4
    assert truth.boxes[3].tolist() == [-0.5, 3.5, 8.5, 4.5]


@pytest.mark.parametrize(("id", "words"), [(34, "34, of label 34"), (40001, "40001, of label 40")])
def test_unknown_labels_are_named(id: int, words: str, tmp_path: Path) -> None:
    data = tree(tmp_path, np.full((7, 9), id))
    with pytest.raises(UserError, match=rf"instanceIds\.png.*{words}.*0 to 33"):
        data[0]


def test_a_wrong_split_or_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'dev' is not in dataset\.splits"):
        CityscapesPanoptic(str(tmp_path), split="dev")
    with pytest.raises(UserError, match=r"leftImg8bit.*is no folder"):
        CityscapesPanoptic(str(tmp_path))
