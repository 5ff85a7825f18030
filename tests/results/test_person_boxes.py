"""Boxes from files of detections and from detectors."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.errors import Notice, UserError
from densepred.results.person_boxes import BoxFile, BoxFilter, Detector, check_reading
from densepred.types import Annotation, Info

PERSON = Info(classes=("person",), palette=((9, 9, 9),))
ZOO = Info(classes=("cat", "dog"), palette=((9, 9, 9), (8, 8, 8)))
SIZE = (50, 60)


def note(image: int | str, box: list[float], score: float = 0.9, category: int | str = 1) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": box, "score": score}


def opened(folder: Path, data: Any, info: Info = PERSON, threshold: float = 0.0, beside: Any = None) -> BoxFile:
    path = folder / "detections.json"
    path.write_text(json.dumps(data))
    if beside is not None:
        (folder / "images.json").write_text(json.dumps(beside))
    return BoxFile(path, BoxFilter(info, threshold, str(path)))


def test_boxes_come_best_first_in_our_frame(tmp_path: Path) -> None:
    file = opened(tmp_path, [note(7, [0, 0, 10, 20], 0.3), note(7, [1, 2, 3, 4], 0.8), note(8, [5, 5, 5, 5])])
    found = file.of(SIZE, 7, "a")
    assert found.size == SIZE
    assert found.boxes is not None
    assert found.scores is not None
    assert found.categories is not None
    assert found.boxes.tolist() == [[0.5, 1.5, 3.5, 5.5], [-0.5, -0.5, 9.5, 19.5]]
    assert found.scores.tolist() == pytest.approx([0.8, 0.3])
    assert found.categories.tolist() == [0, 0]


def test_what_is_unsure_or_has_no_area_is_left_out(tmp_path: Path) -> None:
    notes = [note(7, [0, 0, 10, 20], 0.3), note(7, [0, 0, 0, 20]), note(7, [0, 0, 10, 20], 0.5)]
    with pytest.warns(Notice, match="of 3 boxes 1 without area and 1 below box_threshold=0.5 are left out"):
        found = opened(tmp_path, notes, threshold=0.5).of(SIZE, 7, "a")
    assert found.scores is not None
    assert found.scores.tolist() == [0.5]


def test_boxes_that_are_left_out_are_counted(tmp_path: Path) -> None:
    data = {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "categories": [{"id": 1, "name": "bicycle"}, {"id": 5, "name": "person"}],
        "annotations": [note(7, [0, 0, 9, 9], 0.9, 5), note(7, [0, 0, 0, 9], 0.9, 5), note(7, [0, 0, 8, 8], 0.9, 1)],
    }
    with pytest.warns(Notice) as heard:
        found = opened(tmp_path, data).of(SIZE, None, "a")
    assert [str(one.message).partition("json: ")[2] for one in heard] == [
        "boxes of other classes are left out: bicycle",
        "of 3 boxes 1 without area and 1 of other categories are left out",
    ]
    assert found.boxes is not None
    assert found.boxes.tolist() == [[-0.5, -0.5, 8.5, 8.5]]  # the person by its name, though its id is not 1


def test_a_class_that_is_taken_for_another_is_named(tmp_path: Path) -> None:
    with pytest.warns(Notice, match="does not name its only category, 3; it is taken for person"):
        assert len(opened(tmp_path, [note(7, [0, 0, 9, 9], 0.9, 3)]).of(SIZE, 7, "a").boxes) == 1  # type: ignore
    with pytest.warns(Notice, match="does not name its 2 categories; 1 is taken for person"):
        opened(tmp_path, [note(7, [0, 0, 9, 9], 0.9, 3), note(7, [0, 0, 9, 9])])
    with pytest.raises(UserError, match="does not name its 2 categories; add a list `categories`"):
        opened(tmp_path, [note(7, [0, 0, 9, 9], 0.9, 3), note(7, [0, 0, 9, 9], 0.9, 5)])
    with pytest.warns(Notice, match="its only class, car, is taken for person"):
        assert BoxFilter(PERSON, 0.0, "run").classes(["car"]) == {0: 0}


def test_an_image_without_boxes_has_none(tmp_path: Path) -> None:
    found = opened(tmp_path, [note(7, [0, 0, 10, 20])]).of(SIZE, 8, "a")
    assert found.boxes is not None
    assert found.boxes.shape == (0, 4)


def test_images_are_known_by_name_where_names_are_given(tmp_path: Path) -> None:
    """Ids that densepred-predict counts are not those of a dataset."""
    beside = {"images": [{"id": 1, "file_name": "b/x.jpg"}, {"id": 2, "file_name": "y.png"}]}
    file = opened(tmp_path, [note(1, [0, 0, 1, 1]), note(2, [0, 0, 2, 2])], beside=beside)
    for name, width in (("b/x", 1), ("x", 1), ("elsewhere/y", 2)):
        boxes = file.of(SIZE, 2, name).boxes
        assert boxes is not None
        assert boxes[0, 2] + 0.5 == width
    assert len(file.of(SIZE, 1, "z").boxes) == 0  # type: ignore[arg-type]


def test_without_ids_numbers_in_names_are_ids(tmp_path: Path) -> None:
    file = opened(tmp_path, [note(42, [0, 0, 1, 1]), note("pose/a", [0, 0, 2, 2])])
    assert [len(file.of(SIZE, None, name).boxes) for name in ("val/000042", "pose/a", "a")] == [1, 1, 0]  # type: ignore


def test_guessed_ids_and_images_without_boxes_are_named(tmp_path: Path) -> None:
    file = opened(tmp_path, [note(42, [0, 0, 1, 1])])
    with pytest.warns(Notice) as heard:
        file.require([(None, "val/000042"), (None, "val/000043"), (None, "b")])
    assert [str(one.message).partition("json: ")[2] for one in heard] == [
        "names no images; the number in the name of an image is taken for its image_id",
        "has no box in 2 of the 3 images",
    ]
    with pytest.raises(UserError, match="has boxes for none of the 1 images"):
        file.require([(7, "a")])


def test_boxes_without_a_score_are_counted(tmp_path: Path) -> None:
    plain = {key: value for key, value in note(7, [0, 0, 9, 9]).items() if key != "score"}
    with pytest.warns(Notice, match=r"1 of 2 boxes have no score, and count as certain \(1\)"):
        opened(tmp_path, [plain, note(7, [0, 0, 8, 8])])


def test_categories_are_known_by_name(tmp_path: Path) -> None:
    data = {
        "images": [{"id": 7, "file_name": "a.jpg"}],
        "categories": [{"id": 17, "name": "dog"}, {"id": 3, "name": "tree"}, {"id": 16, "name": "cat"}],
        "annotations": [note(7, [0, 0, 1, 1], 0.9, 16), note(7, [0, 0, 2, 2], 0.8, 3), note(7, [0, 0, 3, 3], 0.7, 17)],
    }
    found = opened(tmp_path, data, ZOO).of(SIZE, None, "a")
    assert found.categories is not None
    assert found.categories.tolist() == [0, 1]


def test_people_of_cocos_own_results_are_category_1(tmp_path: Path) -> None:
    notes = [note(7, [0, 0, 1, 1], 0.9, 3), note(7, [0, 0, 2, 2], 0.8, 1)]
    found = opened(tmp_path, notes).of(SIZE, 7, "a")
    assert found.scores is not None
    assert found.scores.tolist() == pytest.approx([0.8])
    with pytest.raises(UserError, match="it does not name its 2 categories"):
        opened(tmp_path, notes, ZOO)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("text", "no list of detections"),
        ([3], "no list of detections"),
        ([note(7, [0, 0, 1])], "its bbox is"),
        ([note(7, [0, 0, 1, float("nan")])], "its bbox is"),
        ([note(7, [0, 0, 1, 1], float("inf"))], "its score is"),
        ([{**note(7, [0, 0, 1, 1]), "bbox": None}], "has no bbox"),
        ([note(None, [0, 0, 1, 1])], "its image_id is None"),  # type: ignore[arg-type]
        ([note(7, [0, 0, 1, 1], 0.9, None)], "its category_id is None"),  # type: ignore[arg-type]
    ],
)
def test_files_that_mean_nothing_are_named(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        opened(tmp_path, data)


def test_a_file_about_other_images_is_refused(tmp_path: Path) -> None:
    file = opened(tmp_path, [note(7, [0, 0, 1, 1])])
    file.require([(9, "a"), (7, "b")])
    with pytest.raises(UserError, match="for none of the 2 images"):
        file.require([(9, "a"), (10, "b")])


def test_a_detectors_classes_become_ours() -> None:
    info = Info(classes=("tree", "dog", "cat"), palette=((1, 1, 1), (2, 2, 2), (3, 3, 3)))
    answer = Annotation(
        SIZE,
        boxes=torch.tensor([[0.0, 0, 5, 5], [1.0, 1, 6, 6], [2.0, 2, 7, 7], [3.0, 3, 3, 8]]),
        scores=torch.tensor([0.9, 0.5, 0.7, 0.99]),
        categories=torch.tensor([0, 1, 2, 1]),
    )
    found = Detector(lambda pixels: answer, info, BoxFilter(ZOO, 0.3, "run"))(torch.zeros(3, *SIZE), None, "a")
    assert found.categories is not None
    assert found.categories.tolist() == [0, 1]  # a cat of 0.7, a dog of 0.5
    with pytest.raises(UserError, match="detects tree, dog, cat but the checkpoint has person"):
        Detector(lambda pixels: answer, info, BoxFilter(PERSON, 0.3, "run"))


def test_a_detector_that_reads_images_otherwise_is_named() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        check_reading(PERSON, ZOO, "run")
    with pytest.warns(Notice, match=r"trained with max_value=4095, and gets images .* with max_value=None"):
        check_reading(PERSON, replace(ZOO, max_value=4095), "run")
    with pytest.raises(UserError, match=r"its run reads bands \(4, 3, 2\), that of ckpt as stored; predict with it"):
        check_reading(PERSON, replace(ZOO, bands=(4, 3, 2)), "run")


def test_instances_without_boxes_are_measured_and_other_predictions_refused() -> None:
    ids = torch.zeros(SIZE, dtype=torch.int32)
    ids[10:20, 30:40] = 1
    one = Info(classes=("thing",), palette=((1, 1, 1),))
    finder = Detector(lambda pixels: Annotation(SIZE, instances=ids), one, BoxFilter(PERSON, 0.3, "run"))
    found = finder(torch.zeros(3, *SIZE), None, "a")
    assert found.boxes is not None
    assert found.boxes.tolist() == [[29.5, 9.5, 39.5, 19.5]]
    with pytest.raises(UserError, match="predicts no boxes"):
        Detector(lambda pixels: Annotation(SIZE), one, BoxFilter(PERSON, 0.3, "run"))(torch.zeros(3, *SIZE), None, "a")


def test_the_message_of_a_missing_file_is_not_that_of_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "detections.json"
    with pytest.raises(UserError, match="there is no such file; check the path"):
        BoxFile(path, BoxFilter(PERSON, 0.0, str(path)))
    path.write_text("[{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        BoxFile(path, BoxFilter(PERSON, 0.0, str(path)))
