"""Predictions as files of labelling tools, read back by independent code and by our own readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO

from densepred.commands import convert
from densepred.conversion import cvat, label_studio
from densepred.dataset import brush
from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.label_studio import LabelStudio
from densepred.errors import Notice, UserError
from densepred.results.files import OverlaySettings, Results
from densepred.types import Annotation, Info
from tests.conftest import composed
from tests.dataset.files import picture, write

SIZE = (17, 23)
INFO = Info(("background", "cell", "dög"), things=(1, 2), keypoints=("nose", "tail"))
IDS = np.zeros(SIZE, np.int32)
IDS[2:9, 3:8], IDS[4, 4], IDS[12:17, 15:23], IDS[0, 0] = 1, 0, 2, 3
CATEGORIES, SCORES = torch.tensor([1, 2, 1]), torch.tensor([0.9, 0.8, 0.1])
BOXES = torch.tensor([[2.5, 1.5, 7.5, 8.5], [14.5, 11.5, 22.5, 16.5], [-0.5, -0.5, 0.5, 0.5]])
POINTS = torch.tensor([[[4.0, 5.0, 0.9], [0.0, 0.0, 0.0]], [[20.25, 15.5, 0.7], [16.0, 12.0, 0.4]]])
FOUND = {
    "instances": Annotation(SIZE, instances=torch.from_numpy(IDS), categories=CATEGORIES, scores=SCORES),
    "detections": Annotation(SIZE, boxes=BOXES, categories=CATEGORIES, scores=SCORES),
    "keypoints": Annotation(SIZE, keypoints=POINTS, categories=CATEGORIES[:2], scores=SCORES[:2]),
}


def converted(folder: Path, kind: str, form: str, *words: str) -> Path:
    """Write predictions as densepred-predict does, and convert them by the command."""
    info = INFO if kind == "keypoints" else Info(INFO.classes, INFO.things)
    results, place = Results(folder / "p", info, OverlaySettings(overlay=False)), Path("s/ä 1")
    results.add(place, 1, "s/ä 1.png", torch.zeros(3, *SIZE, dtype=torch.uint8), FOUND[kind])
    results.join([place])
    output = folder / "out/file"
    given = (f"input={folder / 'p'}", f"output={output}", f"form={form}", *words)
    assert convert.convert(composed(*given, name="convert")) == 0
    return output


def test_cvat_masks_are_equal_to_the_pixel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Xml.parse(converted(tmp_path, "instances", "cvat")).getroot()
    (image,) = root.findall("image")
    assert (image.get("name"), image.get("width"), image.get("height")) == ("s/ä 1.png", "23", "17")
    masks = image.findall("mask")
    assert [one.get("label") for one in masks] == ["cell", "dög"]
    for number, one in enumerate(masks, 1):
        left, top, width, height = (int(one.get(key, "")) for key in ("left", "top", "width", "height"))
        whole, value, flat = np.zeros(SIZE, bool), False, list[bool]()
        for run in one.get("rle", "").split(", "):
            flat += [value] * int(run)
            value = not value
        whole[top : top + height, left : left + width] = np.array(flat).reshape(height, width)
        assert (whole == (number == IDS)).all()
    told = capsys.readouterr().out
    assert "1 image, 2 masks: cell 1, dög 1" in told
    assert "left out: 1 object with a score below threshold=0.3" in told


def test_cvat_boxes_and_skeletons(tmp_path: Path) -> None:
    root = Xml.parse(converted(tmp_path / "a", "detections", "cvat", "threshold=0.05")).getroot()
    boxes = [[float(one.get(key, "")) for key in ("xtl", "ytl", "xbr", "ybr")] for one in root.iter("box")]
    assert boxes == [[3, 2, 8, 9], [15, 12, 23, 17], [0, 0, 1, 1]]
    root = Xml.parse(converted(tmp_path / "b", "keypoints", "cvat")).getroot()
    labels = {one.findtext("name"): (one.findtext("type"), one.findtext("parent")) for one in root.iter("label")}
    assert labels["cell"] == ("skeleton", None)
    assert labels["nose"] == ("points", "dög")
    first, second = (
        [(one.get("label"), one.get("points"), one.get("outside")) for one in skeleton.findall("points")]
        for skeleton in root.iter("skeleton")
    )
    assert first[0] == ("nose", "4.50,5.50", "0")
    assert first[1][2] == "1"
    assert second == [("nose", "20.75,16.00", "0"), ("tail", "16.50,12.50", "0")]


@pytest.mark.parametrize("kind", ["instances", "detections"])
def test_label_studio_tasks_are_read_back_by_our_reader(tmp_path: Path, kind: str) -> None:
    tasks = json.loads(converted(tmp_path, kind, "label_studio").read_text())
    assert [result["score"] for result in tasks[0]["predictions"][0]["result"]] == pytest.approx([0.9, 0.8])
    for task in tasks:  # an annotator accepts the predictions
        task["annotations"] = task.pop("predictions")
    (tmp_path / "ls").mkdir()
    (tmp_path / "ls/train.json").write_text(json.dumps(tasks))
    write(tmp_path / "ls/images/ä 1.png", picture(SIZE))
    truth = LabelStudio(str(tmp_path / "ls"))[0].truth
    torch.testing.assert_close(truth.need("boxes"), BOXES[:2], atol=1e-4, rtol=0)
    if kind == "instances":
        assert (truth.need("instances").numpy() == np.where(IDS < 3, IDS, 0)).all()


def test_label_studio_keypoints_are_in_percent(tmp_path: Path) -> None:
    (task,) = json.loads(converted(tmp_path, "keypoints", "label_studio").read_text())
    rows = [
        (one["value"]["keypointlabels"], one["value"]["x"], one["value"]["y"])
        for one in task["predictions"][0]["result"]
    ]
    expected = [(["nose"], 4.5, 5.5), (["nose"], 20.75, 16), (["tail"], 16.5, 12.5)]
    assert rows == [(name, pytest.approx(x / 0.23), pytest.approx(y / 0.17)) for name, x, y in expected]


@pytest.mark.parametrize("mask", [IDS == 1, IDS > 5, IDS > -1, np.zeros((300, 300), bool)])
def test_a_brush_is_the_inverse_of_its_reader(mask: np.ndarray) -> None:
    assert (brush.decode(label_studio.encode(mask), mask.shape, "here") == mask).all()


def test_runs_of_a_mask_begin_outside() -> None:
    assert cvat.row_runs(np.array([[True, True], [False, True]])) == [0, 2, 1, 1]
    assert cvat.row_runs(np.zeros((2, 2), bool)) == [4]


@pytest.mark.parametrize("kind", FOUND)
def test_coco_is_read_by_pycocotools_and_our_reader(tmp_path: Path, kind: str) -> None:
    output = converted(tmp_path, kind, "coco")
    rows: list[Any] = list(COCO(str(output)).anns.values())
    assert [row["id"] for row in rows] == [1, 2]
    if kind == "keypoints":
        assert rows[0]["keypoints"] == [4, 5, 2, 0, 0, 0]
        assert (rows[1]["bbox"], rows[1]["num_keypoints"]) == ([16, 12, 5.25, 4.5], 2)
        return
    assert [row["bbox"] for row in rows] == [[3, 2, 5, 7], [15, 12, 8, 5]]
    assert [row["area"] for row in rows] == ([34, 40] if kind == "instances" else [35, 40])
    write(tmp_path / "c/images/train/s/ä 1.png", picture(SIZE))
    (tmp_path / "c/annotations").mkdir()
    (tmp_path / "c/annotations/instances_train.json").write_bytes(output.read_bytes())
    truth = CocoInstances(str(tmp_path / "c"), "train")[0].truth
    torch.testing.assert_close(truth.need("boxes"), BOXES[:2])


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    output = converted(tmp_path, "instances", "cvat")
    words = (f"input={tmp_path / 'p'}", f"output={tmp_path / 'new'}")
    for given, match in (
        ((words[0], f"output={output}", "form=cvat"), "exists; choose a new one"),
        ((f"input={tmp_path}", words[1], "form=cvat"), "holds no images.json"),
        ((*words, "form=folder"), "give one of cvat, label_studio, labelme, via, coco"),
        ((words[1], "form=cvat"), "is for predictions; add input=PREDICTIONS"),
    ):
        with pytest.raises(UserError, match=match):
            convert.convert(composed(*given, name="convert"))
    (tmp_path / "p/instances.json").write_text('[{"image_id": 1, "category_id": 1, "score": 1}]')
    with pytest.raises(UserError, match=r"p: a result is damaged .*segmentation"):
        convert.convert(composed(*words, "form=cvat", name="convert"))
    assert not (tmp_path / "new").exists()
    (tmp_path / "p/instances.json").write_text('[{"image_id": 9, "category_id": 1, "score": 1}]')
    with pytest.raises(UserError, match=r"instances\.json: does not fit images\.json"):
        convert.convert(composed(*words, "form=cvat", name="convert"))


@pytest.mark.parametrize("name", ["a\x1b[1m", "a\x00"])
def test_a_class_that_cannot_stand_in_xml_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="this name cannot stand in XML"):
        cvat.checked(name)
    assert cvat.checked("Straße 7") == "Straße 7"


def test_settings_without_effect_give_a_line(tmp_path: Path) -> None:
    with pytest.warns(Notice, match=r"dataset: is not read, because input"):
        converted(tmp_path, "detections", "cvat", "dataset=folder", "dataset.root=DIR")
    words = ("dataset.counts={train: 1, valid: 1, test: 1}", f"output={tmp_path / 'new'}", "threshold=0.5")
    with pytest.warns(Notice, match=r"threshold=0\.5: has no effect"):
        convert.convert(composed(*words, name="convert"))


def test_results_beside_the_first_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    converted(tmp_path, "instances", "coco")
    (tmp_path / "p/detections.json").write_text("[]")
    words = (f"input={tmp_path / 'p'}", f"output={tmp_path / 'again.json'}", "form=coco")
    assert convert.convert(composed(*words, name="convert")) == 0
    told = capsys.readouterr().out
    assert told.count("left out: detections.json, beside instances.json") == 1


@pytest.mark.parametrize(("number", "id", "line"), [(139, 139, False), ("0001_a", 1, True)])
def test_ids_of_images_stay_in_coco_files_or_a_line_tells(
    number: int | str, id: int, line: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    converted(tmp_path / "first", "instances", "coco")
    folder = tmp_path / "first/p"
    for name in ("images", "instances"):
        text = (folder / f"{name}.json").read_text()
        (folder / f"{name}.json").write_text(text.replace('"image_id": 1', f'"image_id": {json.dumps(number)}'))
    listed = json.loads((folder / "images.json").read_text())
    listed["images"][0]["id"] = number
    (folder / "images.json").write_text(json.dumps(listed))
    capsys.readouterr()
    output = tmp_path / "out.json"
    assert convert.convert(composed(f"input={folder}", f"output={output}", "form=coco", name="convert")) == 0
    data = json.loads(output.read_text())
    assert [one["id"] for one in data["images"]] == [id]
    assert {one["image_id"] for one in data["annotations"]} == {id}
    assert ("ids of images: numbered from 1" in capsys.readouterr().out) is line
