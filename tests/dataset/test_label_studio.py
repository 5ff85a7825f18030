from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.dataset.label_studio import LabelStudio
from densepred.errors import Notice, UserError
from tests.dataset.files import picture, write
from tests.dataset.label_studio_tree import SIZE, brush, result, save, task

BOX = {"x": 25, "y": 25, "width": 50, "height": 50}


@pytest.mark.parametrize("repeat", [True, False])
def test_a_brush_mask_is_decoded(tmp_path: Path, repeat: bool) -> None:
    mask = np.random.default_rng(0).random(SIZE) < 0.4
    mask[0, 0] = True  # the first run of COCO's is then empty
    save(tmp_path, "train", result("brushlabels", "cat", format="rle", rle=brush(mask, repeat)))
    semantic = LabelStudio(str(tmp_path))[0].truth.semantic
    assert semantic is not None
    assert torch.equal(semantic.bool(), torch.from_numpy(mask))


def test_percents_become_pixels(tmp_path: Path) -> None:
    save(tmp_path, "train", result("rectanglelabels", "cat", **BOX, rotation=0))
    boxes = LabelStudio(str(tmp_path))[0].truth.boxes
    assert boxes is not None
    assert boxes.tolist() == [[9.5, 4.5, 29.5, 14.5]]


def test_labels_may_be_results_of_their_own(tmp_path: Path) -> None:
    """The controls Rectangle and Labels write two results with one id."""
    place, labels = result("rectangle", "", **BOX, rotation=0), result("labels", "cat", **BOX, rotation=0)
    place["value"].pop("rectangle")
    alone = {**place, "id": "other", "value": {**BOX, "width": 10}}
    save(tmp_path, "train", place, labels, alone)
    with pytest.warns(Notice, match="1 result of the type rectangle left out, because no labels have"):
        data = LabelStudio(str(tmp_path))
    assert data.info.classes == ("background", "cat")
    assert data[0].truth.need("boxes").tolist() == [[9.5, 4.5, 29.5, 14.5]]


def test_a_rectangle_turns_about_its_corner(tmp_path: Path) -> None:
    """A quarter turn clockwise puts 12 x 6 pixels, from (20, 4), to the left of x=20."""
    turned = {"x": 50, "y": 20, "width": 30, "height": 30, "rotation": 90}
    save(tmp_path, "train", result("rectanglelabels", "cat", **turned))
    semantic = LabelStudio(str(tmp_path))[0].truth.semantic
    assert semantic is not None
    wanted = torch.zeros(SIZE, dtype=torch.bool)
    wanted[4:16, 14:20] = True
    assert torch.equal(semantic.bool(), wanted)


def test_an_ellipse_has_its_area(tmp_path: Path) -> None:
    save(tmp_path, "train", result("ellipselabels", "cat", x=50, y=50, radiusX=25, radiusY=25, rotation=0))
    areas = LabelStudio(str(tmp_path))[0].truth.areas
    assert areas is not None
    assert areas.item() == pytest.approx(math.pi * 50, rel=0.05)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", picture(SIZE))
    one = task(1, "a.png", result("rectanglelabels", "cat", **BOX), {"type": "choices", "value": {}})
    one["annotations"].append(one["annotations"][0])
    (tmp_path / "train.json").write_text(json.dumps([one]))
    with pytest.warns(Notice, match="1 further annotation.*1 result of the type choices left out"):
        LabelStudio(str(tmp_path))


def test_images_of_one_name_in_several_folders_are_each_found(tmp_path: Path) -> None:
    names = ("a.png", "b/a.png", "c/d/a.png")
    for name in names:
        write(tmp_path / "images" / name, picture(SIZE))
    tasks = [task(number, name, result("rectanglelabels", "cat", **BOX)) for number, name in enumerate(names)]
    tasks[1]["data"]["image"] = "/data/local-files/?d=images%2Fb%2Fa.png"
    (tmp_path / "train.json").write_text(json.dumps(tasks))
    assert LabelStudio(str(tmp_path)).files() == [tmp_path / "images" / name for name in names]
    (tmp_path / "images/b/a.png").unlink()
    with pytest.raises(UserError, match="its file is that of image 1 too"):
        LabelStudio(str(tmp_path))


def test_tasks_without_an_annotation_are_counted_and_skipped_ones_left_out(tmp_path: Path) -> None:
    tasks = [task(number, f"{number}.png", result("rectanglelabels", "cat", **BOX)) for number in range(4)]
    for number in range(4):
        write(tmp_path / f"images/{number}.png", picture(SIZE))
    tasks[1]["annotations"] = []
    tasks[2]["annotations"][0]["was_cancelled"] = True
    tasks[3]["annotations"][0]["result"] = []
    (tmp_path / "train.json").write_text(json.dumps(tasks))
    with pytest.warns(Notice) as told:
        found = LabelStudio(str(tmp_path))
    assert [path.stem for path in found.files()] == ["0", "1", "3"]
    said = " ".join(str(one.message) for one in told)
    assert "2 images without an annotation, read as images without objects" in said
    assert "1 image whose annotations were all cancelled or skipped, left out" in said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (result("brushlabels", "cat", rle=brush(np.ones((3, 3), bool))), "damaged or of another size"),
        (result("brushlabels", "cat", rle=brush(np.ones(SIZE, bool))[:-3]), "cut off"),
        (result("brushlabels", "cat", rle=[1, 2, 300]), "damaged"),
        (result("polygonlabels", "cat", points=[[1]]), "give x and y"),
        (result("rectanglelabels", "cat", x=1), "finite numbers"),
        ({"type": "rectanglelabels", "value": {}}, "its rectanglelabels are None"),
    ],
)
def test_a_result_of_another_form_is_refused(tmp_path: Path, found: dict[str, object], said: str) -> None:
    save(tmp_path, "train", found)
    with pytest.raises(UserError, match=said):
        LabelStudio(str(tmp_path))


def test_the_short_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text('[{"id": 1, "image": "a.png", "label": []}]')
    with pytest.raises(UserError, match="not JSON-MIN"):
        LabelStudio(str(tmp_path))


def test_training_files_that_cannot_be_read_are_no_missing_ones(tmp_path: Path) -> None:
    """Else the labels of validation would be the classes, with a notice that there are no training files."""
    save(tmp_path, "train", result("rectanglelabels", "cat", **BOX, rotation=0))
    save(tmp_path, "val", result("rectanglelabels", "cat", **BOX, rotation=0))
    assert len(LabelStudio(str(tmp_path), split="valid")) == 1
    (tmp_path / "train.json").write_text('[{"label": "cat"}]')
    with pytest.raises(UserError, match="holds no tasks"):
        LabelStudio(str(tmp_path), split="valid")
