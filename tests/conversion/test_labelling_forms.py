"""Predictions as files of labelme and VIA, class maps as regions, and the ids of COCO files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as rle

from densepred.commands import convert
from densepred.dataset.labelme import Labelme
from densepred.dataset.via import Via
from densepred.errors import Notice, UserError
from densepred.results.files import OverlaySettings, Results
from densepred.types import VOID, Annotation, Info
from tests.conftest import composed
from tests.conversion.test_labelling import BOXES, IDS, INFO, POINTS, SIZE, converted
from tests.dataset.files import picture, write

SHOWN = np.where(IDS < 3, IDS, 0)
"""The two objects above the threshold: the first has a hole at (4, 4)."""


@pytest.mark.parametrize("kind", ["instances", "detections"])
def test_files_of_labelme_are_read_back_equal(tmp_path: Path, kind: str) -> None:
    output = converted(tmp_path, kind, "labelme")
    data = json.loads((output / "s/ä 1.json").read_text())
    assert [one["description"] for one in data["shapes"]] == ["score 0.900", "score 0.800"]
    write(output / "s/ä 1.png", picture(SIZE))
    truth = Labelme(str(tmp_path), splits={"train": "out/file"}, annotations="{split}")[0].truth
    torch.testing.assert_close(truth.need("boxes"), BOXES[:2], atol=1e-4, rtol=0)
    if kind == "instances":
        assert (truth.need("instances").numpy() == SHOWN).all()


@pytest.mark.parametrize("form", ["labelme", "via"])
def test_keypoints_are_points_with_half_a_pixel(tmp_path: Path, form: str) -> None:
    output = converted(tmp_path, "keypoints", form)
    expected = [("nose", 4.5, 5.5), ("nose", 20.75, 16.0), ("tail", 16.5, 12.5)]
    if form == "labelme":
        shapes = json.loads((output / "s/ä 1.json").read_text())["shapes"]
        assert [(one["label"], *one["points"][0]) for one in shapes] == expected
        assert [one["group_id"] for one in shapes] == [0, 1, 1]
        return
    (entry,) = json.loads(output.read_text())["_via_img_metadata"].values()
    found = [(one["region_attributes"]["label"], one["shape_attributes"]) for one in entry["regions"]]
    assert [(label, shape["cx"], shape["cy"]) for label, shape in found] == expected
    assert len(POINTS) == 2


def test_a_project_of_via_is_read_back_and_tells_of_holes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = converted(tmp_path, "instances", "via")
    told = capsys.readouterr().out
    assert "left out: scores, of which VIA has none" in told
    assert "left out: holes of masks, which are filled: 1" in told
    write(output.parent / "s/ä 1.png", picture(SIZE))
    data = Via(str(output.parent), splits={"train": 1.0}, annotations="file")
    filled = SHOWN.copy()
    filled[4, 4] = 1
    assert data.info.classes == ("background", "cell", "dög")
    assert (data[0].truth.need("instances").numpy() == filled).all()


LABELS = np.zeros(SIZE, np.uint8)
LABELS[2:9, 3:8], LABELS[12:17, 15:23], LABELS[0, 0:4], LABELS[3, 9] = 1, 2, VOID, 1


def maps(folder: Path, info: Info) -> list[str]:
    """Write a class map as densepred-predict does, beside its image, and return the words that name it."""
    results, place = Results(folder / "p", info, OverlaySettings(overlay=False)), Path("s/ä 1")
    found = Annotation(SIZE, semantic=torch.from_numpy(LABELS))
    results.add(place, 1, "s/ä 1.png", torch.zeros(3, *SIZE, dtype=torch.uint8), found)
    results.join([place])
    record = {"command": "densepred-predict", "ckpt": "RUN", "input": str(folder / "in"), "split": None}
    (folder / "p/predict.json").write_text(json.dumps(record))
    write(folder / "in/s/ä 1.JPG", picture(SIZE))
    return [f"input={folder / 'p'}", f"output={folder / 'out'}"]


@pytest.mark.parametrize(("names", "kept"), [(("_background_", "cell", "dög"), [1, 2]), (("sky", "a", "b"), [0, 1, 2])])
def test_class_maps_become_a_region_per_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...], kept: list[int]
) -> None:
    words = maps(tmp_path, Info(names))
    assert convert.convert(composed(*words, "form=coco", name="convert")) == 0
    told = capsys.readouterr().out
    assert "class maps: one region per class and image, not one per object" in told
    data = json.loads((tmp_path / "out").read_text())
    assert [one["file_name"] for one in data["images"]] == ["s/ä 1.JPG"]
    assert [one["name"] for one in data["categories"]] == [names[label] for label in kept]
    for label, row in zip(kept, data["annotations"], strict=True):
        assert (rle.decode(row["segmentation"]) == (label == LABELS)).all()
        assert row["category_id"] == kept.index(label) + 1
    shutil.rmtree(tmp_path / "in")
    (tmp_path / "out").unlink()
    assert convert.convert(composed(*words, "form=via", name="convert")) == 0
    told = "names of images: 1 of 1 are those of their maps, because no image of these names is there, or several are"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (("ä 1.Jpeg",), "ä 1.Jpeg"),
        (("ä 1.Tif", "ä 1.png"), "ä 1.png"),  # the map's own name: which of the two was predicted is not known
        (("ä 1.PNG", "ä 1_mask.png"), "ä 1.PNG"),
    ],
)
def test_an_image_of_a_class_map_is_found_in_any_case_of_its_extension(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: tuple[str, ...], name: str
) -> None:
    words = maps(tmp_path, Info(("sky", "a", "b")))
    (tmp_path / "in/s/ä 1.JPG").unlink()
    for file in files:
        (tmp_path / "in/s" / file).write_bytes(b"")
    assert convert.convert(composed(*words, "form=coco", name="convert")) == 0
    assert [one["file_name"] for one in json.loads((tmp_path / "out").read_text())["images"]] == [f"s/{name}"]
    assert ("names of images" in capsys.readouterr().out) == (len({file[:4] for file in files}) < len(files))


def test_the_run_tells_the_mask_of_a_class_map_from_its_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = maps(tmp_path, Info(("sky", "a", "b")))
    (tmp_path / "in/s/ä 1.png").write_bytes(b"")
    settings = {"image_suffix": ".JPG", "mask_suffix": ".png"}
    monkeypatch.setattr("densepred.results.recorded.dataset", lambda ckpt: ("folder", settings))
    assert convert.convert(composed(*words, "form=coco", name="convert")) == 0
    assert [one["file_name"] for one in json.loads((tmp_path / "out").read_text())["images"]] == ["s/ä 1.JPG"]


def test_a_background_without_objects_is_no_label(tmp_path: Path) -> None:
    for form in ("cvat", "coco"):
        text = converted(tmp_path / form, "detections", form).read_text()
        assert "background" not in text
        assert "cell" in text


def coco_file(folder: Path, **ids: int) -> Path:
    categories = [{"id": id, "name": name} for name, id in ids.items()]
    path = folder / "truth.json"
    path.write_text(json.dumps({"images": [{"id": 77, "file_name": "ä 1.png"}], "categories": categories}))
    return path


def test_ids_of_a_coco_file_are_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = coco_file(tmp_path, dög=18, cell=44)
    data = json.loads(converted(tmp_path, "instances", "coco", f"coco_ids={path}").read_text())
    assert {one["name"]: one["id"] for one in data["categories"]} == {"cell": 44, "dög": 18}
    assert [row["category_id"] for row in data["annotations"]] == [44, 18]
    assert {row["image_id"] for row in data["annotations"]} == {one["id"] for one in data["images"]} == {77}
    assert "ids of categories" not in capsys.readouterr().out
    assert {"info", "licenses"} <= data.keys()  # Roboflow's client reads them
    converted(tmp_path / "own", "instances", "coco")
    assert "ids of categories: cell 1, dög 2; coco_ids=FILE takes those of a COCO file" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"coco_ids=.*no category is called dög"):
        converted(tmp_path / "less", "instances", "coco", f"coco_ids={coco_file(tmp_path, cell=1)}")
    with pytest.warns(Notice, match=r"coco_ids=x: has no effect on form=cvat"):
        converted(tmp_path / "cvat", "instances", "cvat", "coco_ids=x")


def test_stuff_beside_instances_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = Info(("background", "cell", "road"), things=(1,))
    results, place = Results(tmp_path / "p", info, OverlaySettings(overlay=False)), Path("a")
    found: Any = Annotation(
        SIZE,
        semantic=torch.from_numpy(LABELS),
        instances=torch.from_numpy((LABELS == 1).astype(np.int32)),
        categories=torch.tensor([1]),
        scores=torch.tensor([0.9]),
    )
    results.add(place, 1, "a.png", torch.zeros(3, *SIZE, dtype=torch.uint8), found)
    results.join([place])
    words = (f"input={tmp_path / 'p'}", f"output={tmp_path / 'out.xml'}", "form=cvat")
    assert convert.convert(composed(*words, name="convert")) == 0
    assert "left out: stuff (road) of labels/, beside instances.json" in capsys.readouterr().out
    assert INFO.things == (1, 2)
