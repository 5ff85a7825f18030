from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.dataset.darwin import Darwin
from densepred.errors import Notice, UserError
from tests.dataset.darwin_tree import SIZE, SQUARE, annotation, points, polygon, save


def semantic(root: Path) -> torch.Tensor:
    found = Darwin(str(root))[0].truth.semantic
    assert found is not None
    return found


def test_paths_of_a_polygon_are_filled_by_the_even_odd_rule(tmp_path: Path) -> None:
    """One path is a hole, another one a piece apart. The box that V7 writes beside them is that of the first."""
    hole, apart = [(15, 8), (20, 8), (20, 12), (15, 12)], [(32, 2), (36, 2), (36, 6), (32, 6)]
    save(tmp_path, "train", polygon("cat", SQUARE, hole, apart))
    wanted = torch.zeros(SIZE, dtype=torch.bool)
    wanted[5:15, 10:30] = True
    wanted[8:12, 15:20] = False
    wanted[2:6, 32:36] = True
    assert torch.equal(semantic(tmp_path) > 0, wanted)


def test_boxes_and_ellipses(tmp_path: Path) -> None:
    ellipse = {"angle": math.pi / 2, "center": {"x": 20, "y": 10}, "radius": {"x": 8, "y": 4}}
    box = annotation("box", bounding_box={"x": 2, "y": 3, "w": 4, "h": 5})
    save(tmp_path, "train", annotation("ball", ellipse=ellipse), box)
    truth = Darwin(str(tmp_path))[0].truth
    assert truth.semantic is not None
    assert (int((truth.semantic == 1).any(0).sum()), int((truth.semantic == 1).any(1).sum())) == (8, 16)
    assert truth.boxes is not None
    assert truth.boxes[1].tolist() == [1.5, 2.5, 5.5, 7.5]


def layer(*code: int, **numbers: int) -> dict[str, Any]:
    found = {"dense_rle": list(code), "mask_annotation_ids_mapping": numbers, "total_pixels": SIZE[0] * SIZE[1]}
    return annotation("__raster_layer__", raster_layer=found)


def test_masks_are_numbers_of_the_raster_layer(tmp_path: Path) -> None:
    """The layer goes by rows: 5 pixels without a mask, 3 of the cat, 4 of the dog."""
    cat, dog = {"id": "c", "name": "cat", "mask": {}}, {"id": "d", "name": "dog", "mask": {}}
    save(tmp_path, "train", cat, layer(0, 5, 2, 3, 1, 4, 0, 788, d=1, c=2), dog)
    assert semantic(tmp_path).flatten()[:13].tolist() == [0] * 5 + [1] * 3 + [2] * 4 + [0]
    assert int((semantic(tmp_path) > 0).sum()) == 7


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    unknown, masked = annotation("cat", hologram={}), {"id": "m", "name": "cat", "mask": {}}
    save(tmp_path, "train", polygon("cat", SQUARE), annotation("old", tag={}), unknown, masked)
    with pytest.warns(Notice) as told:
        assert Darwin(str(tmp_path)).info.classes == ("background", "cat")
    said = " ".join(str(one.message) for one in told)
    assert "1 annotation of the type tag left out" in said
    assert "1 annotation of the type unknown left out" in said
    assert "1 of 2 annotations left out (1 empty mask)" in said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (annotation("cat", polygon={}), "its paths are None"),
        (annotation("cat", polygon={"paths": [[{"x": 1}]]}), "finite numbers"),
        (annotation("cat", polygon={"paths": [[*points(SQUARE), []]]}), "its x, y is None"),
        (annotation("cat", ellipse={"center": [], "radius": {"x": 1, "y": 1}}), "its x, y is None"),
        (annotation("cat", bounding_box=[]), "its x, y, w, h is None"),
        (annotation("", bounding_box={"x": 1, "y": 1, "w": 1, "h": 1}), "its name is ''"),
        (layer(0, 7), "is not one raster layer of the image's 800 pixels"),
        (layer(0, 2**60, 1, 800), "is not one raster layer"),
        (layer(0, 801, 1, -1), "no list of values and lengths"),
        (annotation("cat", frames={}), "holds a video"),
    ],
)
def test_a_damaged_annotation_is_refused(found: dict[str, Any], said: str, tmp_path: Path) -> None:
    save(tmp_path, "train", found)
    with pytest.raises(UserError, match=rf"train\.json: .*{said}"):
        Darwin(str(tmp_path))


@pytest.mark.parametrize("slots", [7, "0", ["0"]])
def test_slots_that_are_no_list_of_mappings_are_refused(slots: object, tmp_path: Path) -> None:
    save(tmp_path, "train", polygon("cat", SQUARE), slots=slots)
    with pytest.raises(UserError, match=r"train\.json: its slots are .*, no list of mappings"):
        Darwin(str(tmp_path))


def test_an_item_that_leads_out_of_the_folder_is_missing(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"")
    save(tmp_path / "data", "train", polygon("cat", SQUARE), name="../../../secret.png", path="/../..")
    with pytest.raises(UserError, match=r"its image .* is missing"):
        Darwin(str(tmp_path / "data"))


def test_an_image_of_another_size_than_its_slot_is_counted(tmp_path: Path) -> None:
    slot = {"slot_name": "0", "width": 2 * SIZE[1], "height": 2 * SIZE[0]}
    save(tmp_path, "train", polygon("cat", SQUARE), slots=[slot])
    with pytest.warns(Notice, match="1 image of another size than its annotation file gives"):
        Darwin(str(tmp_path))
