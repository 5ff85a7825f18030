from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.run_length import coco_mask
from densepred.errors import Notice
from densepred.types import VOID, Annotation, UserError
from tests.dataset.coco_tree import SIZE, instances, note, save, square, tree

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path)


def changed(root: Path, change: Change) -> CocoInstances:
    data = instances()
    change(data)
    save(root, "instances_train2017", data)
    return CocoInstances(str(root))


def added(root: Path, **more: Any) -> CocoInstances:
    """Add an annotation of a cat to the file, in image 8 where nothing else is."""
    return changed(root, lambda d: d["annotations"].append(note(9, 3, [5, 5, 4, 4], 16) | {"image_id": 8} | more))


def place(y: slice, x: slice) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[y, x] = True
    return mask


def rle(mask: np.ndarray) -> dict[str, Any]:
    found = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [*found["size"]], "counts": found["counts"].decode()}


def test_the_smaller_lies_on_top_and_crowds_below(root: Path) -> None:
    truth = CocoInstances(str(root))[0].truth
    dog, cat, crowd = (
        place(slice(10, 20), slice(15, 25)),
        place(slice(5, 25), slice(10, 30)),
        place(slice(37), slice(12)),
    )
    wanted = np.where(dog, 1, np.where(cat, 2, np.where(crowd, 3, 0)))
    assert truth.instances is not None
    assert truth.instances.dtype == torch.int32
    assert truth.instances.tolist() == wanted.tolist()
    assert truth.semantic is not None
    assert truth.semantic.tolist() == np.array([0, 2, 1, 2])[wanted].tolist()
    assert truth.ignore is not None
    assert truth.ignore.tolist() == (wanted == 3).tolist()
    assert truth.categories is not None
    assert truth.categories.tolist() == [2, 1, 2]
    assert truth.crowd is not None
    assert truth.crowd.tolist() == [False, False, True]


def test_masks_overlap_and_boxes_and_areas_are_the_file_s(root: Path) -> None:
    truth = CocoInstances(str(root))[0].truth
    assert truth.masks is not None
    pixels = [int(coco_mask.decode(mask).sum()) for mask in truth.masks]
    assert pixels == [100, 400, 444]
    assert truth.areas is not None
    assert truth.areas.tolist() == [100, 400, 444]
    assert truth.boxes is not None
    assert truth.boxes.tolist() == [[14.5, 9.5, 24.5, 19.5], [9.5, 4.5, 29.5, 24.5], [-0.5, -0.5, 11.5, 36.5]]


def test_classes_are_the_background_and_the_categories(root: Path) -> None:
    info = CocoInstances(str(root)).info
    assert info.classes == ("background", "cat", "dog")
    assert info.things == (1, 2)
    assert {"instances", "categories", "boxes", "areas", "crowd", "masks", "ignore"} <= set(info.provides)


def nothing(truth: Annotation) -> bool:
    assert truth.instances is not None
    assert truth.boxes is not None
    assert truth.boxes.shape == (0, 4)
    return not truth.instances.any() and all(
        len(getattr(truth, name)) == 0 for name in ("categories", "areas", "crowd", "masks")
    )


def test_an_image_without_objects_has_empty_lists(root: Path) -> None:
    truth = CocoInstances(str(root))[1].truth
    assert nothing(truth)
    assert truth.semantic is not None
    assert not truth.semantic.any()
    assert truth.ignore is not None
    assert not truth.ignore.any()
    assert nothing(changed(root, lambda d: d["annotations"].clear())[0].truth)


def test_missing_boxes_and_areas_are_those_of_the_mask(root: Path) -> None:
    for segmentation in ([square(3, 4, 6)], rle(place(slice(4, 10), slice(3, 9)))):
        truth = added(root, bbox=None, area=None, segmentation=segmentation)[1].truth
        assert truth.boxes is not None
        assert truth.boxes.tolist() == [[2.5, 3.5, 8.5, 9.5]]
        assert truth.areas is not None
        assert truth.areas.tolist() == [36]


def test_what_is_marked_ignore_is_a_crowd_and_short_outlines_are_counted(root: Path) -> None:
    outlines = [square(3, 4, 6), [1, 1, 2, 2]]
    with pytest.warns(
        Notice, match="1 annotation marked ignore, read as a crowd.*1 outline of fewer than three points"
    ):
        data = added(root, ignore=1, segmentation=outlines)
    assert data[1].truth.need("crowd").tolist() == [True]
    assert added(root, ignore=0, segmentation=outlines[:1])[1].truth.need("crowd").tolist() == [False]


def test_an_area_of_0_is_that_of_the_mask(root: Path) -> None:
    with pytest.warns(Notice, match="1 area of 0, replaced by"):
        data = added(root, area=0, segmentation=[square(3, 4, 6)])
    assert data[1].truth.need("areas").tolist() == [36]


EMPTY = [
    ({"segmentation": []}, "empty polygon"),
    ({"segmentation": [[]]}, "empty polygon"),
    ({"segmentation": [[1, 2, 5, 6]]}, "empty polygon"),  # pycocotools would read it as a box
    ({"segmentation": {"size": [*SIZE], "counts": [SIZE[0] * SIZE[1]]}}, "empty mask"),
    ({"segmentation": None}, "neither segmentation nor box in the image"),
]


@pytest.mark.parametrize(("more", "reason"), EMPTY)
def test_what_holds_nothing_is_left_out_counted_and_told(root: Path, more: dict[str, Any], reason: str) -> None:
    for box in (None, [3, 3, 0, 5], [3, 3, 5, 0.0], [-9, 3, 9, 9], [45, 3, 9, 9]):
        if box and more["segmentation"] is None:
            reason = "box without area in the image"
        with pytest.warns(Notice, match=rf"train2017.json: 1 of 4 annotations left out \(1 {reason}\)"):
            data = added(root, bbox=box, **more)
        assert nothing(data[1].truth)


@pytest.mark.parametrize(("more", "reason"), EMPTY)
def test_a_box_without_a_mask_is_an_instance_of_unknown_pixels(root: Path, more: dict[str, Any], reason: str) -> None:
    with pytest.warns(Notice, match="1 box without a mask"):
        data = added(root, bbox=[5, 6, 4, 3], area=None, **more)
    truth = data[1].truth
    assert truth.need("boxes").tolist() == [[4.5, 5.5, 8.5, 8.5]]
    assert truth.need("areas").tolist() == [12]
    assert not truth.need("instances").any()
    inside = place(slice(6, 9), slice(5, 9))
    assert (truth.need("semantic") == VOID).tolist() == inside.tolist()
    assert truth.need("ignore").tolist() == inside.tolist()
    assert truth.masks is not None
    assert coco_mask.decode(truth.masks[0]).sum() == 0


def boxes_alone(data: dict[str, Any], segmentation: Any) -> None:
    for record in data["annotations"]:
        record.pop("segmentation")
        if segmentation is not None:
            record["segmentation"] = segmentation


@pytest.mark.parametrize("segmentation", [None, []])
def test_a_file_of_boxes_alone_provides_boxes(root: Path, segmentation: Any) -> None:
    with pytest.warns(Notice, match="3 boxes without a mask"):
        data = changed(root, lambda d: boxes_alone(d, segmentation))
    assert set(data.info.provides) == {"boxes", "categories", "areas", "crowd"}
    truth = data[0].truth
    assert truth.need("boxes").tolist() == [[14.5, 9.5, 24.5, 19.5], [9.5, 4.5, 29.5, 24.5], [-0.5, -0.5, 11.5, 36.5]]
    assert truth.filled() - {"size"} == set(data.info.provides)


@pytest.mark.parametrize("box", [[3, 3, 0, 5], [3, 3, 5, 0.0], [-9, 3, 9, 9]])
def test_a_box_without_area_is_rebuilt_from_the_mask(root: Path, box: list[float]) -> None:
    with pytest.warns(Notice, match="1 box without area in the image rebuilt from masks"):
        data = added(root, bbox=box, segmentation=[square(3, 4, 6)])
    assert data[1].truth.need("boxes").tolist() == [[2.5, 3.5, 8.5, 9.5]]


def test_boxes_are_clipped_to_the_image(root: Path) -> None:
    with pytest.warns(Notice, match="1 box clipped to the image"):
        data = added(root, bbox=[-5, 30, 20, 20], segmentation=[square(3, 4, 6)])
    assert data[1].truth.need("boxes").tolist() == [[-0.5, 29.5, 14.5, 36.5]]
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)  # half a pixel is rounding
        data = added(root, bbox=[-0.25, 30, 20, 7.4], segmentation=[[0, 30, 20, 30, 20, 37, 0, 37]])
    assert data[1].truth.need("boxes").tolist() == [pytest.approx([-0.75, 29.5, 19.25, 36.9])]


def test_polygons_of_two_points_beside_others_are_left_out(root: Path) -> None:
    truth = added(root, segmentation=[[1, 2, 30, 30], square(3, 4, 6)])[1].truth
    assert truth.instances is not None
    assert int(truth.instances.sum()) == 36


@pytest.mark.parametrize("segmentation", [[[1, 1, 5, 5, 9, 9]], [[60, 9, 70, 9, 70, 20]], rle(np.zeros(SIZE))])
def test_an_outline_around_no_pixel_is_an_instance_without_pixels(root: Path, segmentation: Any) -> None:
    truth = added(root, segmentation=segmentation)[1].truth
    assert truth.instances is not None
    assert truth.instances.max() <= 1
    assert truth.categories is not None
    assert truth.categories.tolist() == [1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"segmentation": {"size": [45, 37], "counts": [0, 1665]}},
            r"mask has size \[45, 37\] but the image is \[37, 45\]",
        ),
        ({"segmentation": {"size": [*SIZE], "counts": [0, 7]}}, "add up to 7, not 1665 pixels"),
        ({"segmentation": {"size": [*SIZE], "counts": [0, -1, 1666]}}, "its run-length mask is"),
        ({"segmentation": {"size": [*SIZE], "counts": [0.5, 1664.5]}}, "add up to 1665, not"),
        ({"segmentation": {"size": [*SIZE], "counts": None}}, "its run-length mask is None"),
        ({"segmentation": {"counts": "abc"}}, "mask has size None"),
        ({"segmentation": "abc"}, "its segmentation is 'abc'"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "its polygon is|odd number"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "odd number of coordinates"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "its polygon is"),
        ({"segmentation": [[1, 2, 3, 4, 5, 1e30]]}, "its polygon is"),
        ({"segmentation": [[1, 2, 3, 4, 5, "6"]]}, "its polygon is"),
        ({"segmentation": [square(1, 1, 5)], "bbox": [float("nan"), 1, 5, 5]}, "its bbox is"),
        ({"segmentation": [square(1, 1, 5)], "bbox": [1, 1, float("inf"), 5]}, "its bbox is"),
        ({"segmentation": [square(1, 1, 5)], "bbox": [1, 1, -5, 5]}, "its bbox is"),
        ({"segmentation": [square(1, 1, 5)], "bbox": [1, 1, 5]}, "its bbox is"),
        ({"segmentation": [square(1, 1, 5)], "area": float("nan")}, "its area is"),
        ({"segmentation": [square(1, 1, 5)], "area": -1}, "its area is"),
        ({"segmentation": [square(1, 1, 5)], "iscrowd": 2}, "its iscrowd is 2"),
        ({"segmentation": [square(1, 1, 5)], "category_id": 4}, "category_id 4 is not among the categories"),
        ({"segmentation": [square(1, 1, 5)], "category_id": None}, "category_id is None"),
        ({"segmentation": [square(1, 1, 5)], "image_id": None}, "image_id is None"),
        ({"segmentation": [square(1, 1, 5)], "image_id": 99}, "image_id 99 is not among the images"),
        ({"segmentation": [square(1, 1, 5)], "id": 11}, "annotation 11: the id is given twice"),
        ({"segmentation": [square(1, 1, 5)], "id": None}, r"annotations\[3\]: its id is None"),
    ],
)
def test_faults_of_the_json_are_named(root: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        added(root, **more)
    text = str(error.value)
    assert "instances_train2017.json: annotation" in text
    assert "\n" not in text
    assert ";" in text


@pytest.mark.parametrize("counts", ["", "~~~", "0", "é", "PPPPPPPPPPPPPPP0", "Z" * 50])
def test_a_damaged_compressed_mask_is_named_when_it_is_read(root: Path, counts: str) -> None:
    data = added(root, segmentation={"size": [*SIZE], "counts": counts})
    with pytest.raises(UserError, match=r"annotation 9: its run-length mask is damaged; write it again"):
        data[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["images"].append(d["images"][0]), "image 7: the id is given twice"),
        (lambda d: d["images"][0].update(height=0), "image 7: height and width are"),
        (lambda d: d["images"][0].update(file_name="/etc/passwd"), "leads out of"),
        (lambda d: d["categories"].append({"id": 3, "name": "cow"}), "category 3: the id is given twice"),
        (lambda d: d["categories"][0].update(name="dog"), "the category 'dog' is given twice"),
        (lambda d: d["categories"].clear(), "lists no categories"),
        (lambda d: d["images"].clear(), "lists no images"),
        (lambda d: d.pop("annotations"), "'annotations' is no list"),
    ],
)
def test_faults_of_images_and_categories_are_named(root: Path, change: Change, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        changed(root, change)
    assert "instances_train2017.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_subset_is_chosen_by_instances_and_count(root: Path) -> None:
    assert CocoInstances(str(root), most_instances=2)[0].frame.id == "b"
    assert len(CocoInstances(str(root), most_instances=3)) == 2
    assert len(CocoInstances(str(root), limit=1)) == 1
    with pytest.raises(UserError, match=r"dataset\.exif: 'x'; choose one of"):
        CocoInstances(str(root), exif="x")
