from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.dataset.coco_panoptic import CocoPanoptic
from densepred.types import VOID, UserError
from tests.dataset.coco_tree import panoptic, save, save_ids, tree
from tests.dataset.files import picture, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path)


def test_segments_become_classes_and_things_become_instances(root: Path) -> None:
    data = CocoPanoptic(str(root))
    truth = data[0].truth
    _, ids = panoptic()
    wanted = np.full(ids.shape, VOID)
    for id, kind in ((300, 0), (70_000, 1), (5, 0)):
        wanted[ids == id] = kind
    assert truth.semantic is not None
    assert truth.semantic.tolist() == wanted.tolist()
    assert truth.instances is not None
    assert truth.instances.tolist() == ((ids == 300) + 2 * (ids == 5)).tolist()
    assert truth.instances.dtype == torch.int32
    assert truth.categories is not None
    assert truth.categories.tolist() == [0, 0]
    assert truth.crowd is not None
    assert truth.crowd.tolist() == [False, True]
    assert truth.areas is not None
    assert truth.areas.tolist() == [200, 150]
    assert truth.boxes is not None
    assert truth.boxes[0].tolist() == [4.5, 4.5, 24.5, 14.5]


def test_classes_things_and_colours_come_from_the_categories(root: Path) -> None:
    info = CocoPanoptic(str(root)).info
    assert info.classes == ("cat", "grass", "dog")
    assert info.things == (0, 2)
    assert info.palette[:2] == ((1, 2, 3), (0, 255, 0))


def test_an_image_may_be_all_void(root: Path) -> None:
    truth = CocoPanoptic(str(root))[1].truth
    assert truth.semantic is not None
    assert truth.semantic.unique().tolist() == [VOID]
    assert truth.boxes is not None
    assert truth.boxes.shape == (0, 4)


def test_a_subset_is_chosen_by_segments_and_count(root: Path) -> None:
    assert len(CocoPanoptic(str(root), limit=1)) == 1
    assert CocoPanoptic(str(root), most_segments=2)[0].frame.id == "b"
    assert len(CocoPanoptic(str(root), most_segments=3)) == 2


def test_plain_names_of_folders_are_found_too(tmp_path: Path) -> None:
    data, ids = panoptic()
    save(tmp_path, "panoptic_val", data)
    for name in ("a", "b"):
        write(tmp_path / f"images/val/{name}.jpg", picture(ids.shape))
        save_ids(tmp_path / f"panoptic/val/{name}.png", ids)
    assert len(CocoPanoptic(str(tmp_path), "valid")) == 2
    with pytest.raises(UserError, match=r"panoptic_train2017\.json: is missing"):
        CocoPanoptic(str(tmp_path))


def test_a_segment_that_the_json_does_not_know_is_named(root: Path) -> None:
    _, ids = panoptic()
    ids[0, 0] = 301
    save_ids(root / "annotations/panoptic_train2017/a.png", ids)
    with pytest.raises(UserError, match=r"a\.png: the segment 301 \(1 pixels\)"):
        CocoPanoptic(str(root))[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d["annotations"][0]["segments_info"].append({"id": 5, "category_id": 17}),
            "segment 5 is listed twice",
        ),
        (lambda d: d["annotations"][0]["segments_info"][0].update(id=0), "segment has the id 0"),
        (lambda d: d["annotations"][0]["segments_info"][0].update(id=1e400), "segment has the id inf"),
        (lambda d: d["annotations"][0]["segments_info"][0].update(category_id=9), "segment 300: its category_id 9"),
        (lambda d: d["annotations"][0].update(segments_info=None), "segments_info is None"),
        (lambda d: d["annotations"][0].update(file_name="../a.png"), "leads out of"),
        (lambda d: d["annotations"][0].update(image_id=99), "image_id 99 is not among the images"),
        (lambda d: d["categories"][0].pop("isthing"), "isthing is None"),
        (lambda d: d["categories"][0].update(color=[1, 2]), "color is"),
    ],
)
def test_faults_of_the_json_are_named(root: Path, change: object, message: str) -> None:
    data, _ = panoptic()
    assert callable(change)
    change(data)
    path = save(root, "panoptic_train2017", data)
    with pytest.raises(UserError, match=message) as error:
        CocoPanoptic(str(root))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_an_image_without_annotation_is_bad_alone(root: Path) -> None:
    data, _ = panoptic()
    del data["annotations"][1]
    save(root, "panoptic_train2017", data)
    found = CocoPanoptic(str(root))
    assert found[0].frame.id == "a"
    with pytest.raises(UserError, match="image 8: has 0 annotations"):
        found[1]


def test_a_png_of_another_size_is_refused(root: Path) -> None:
    save_ids(root / "annotations/panoptic_train2017/a.png", np.zeros((37, 44), int))
    with pytest.raises(UserError, match="has shape"):
        CocoPanoptic(str(root))[0]
