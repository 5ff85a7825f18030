from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.dataset.qupath import QuPath
from densepred.errors import Notice, UserError
from tests.dataset.files import picture, write
from tests.dataset.qupath_tree import RED, SIZE, SQUARE, feature, ring, save


def test_holes_and_pieces_and_colours(tmp_path: Path) -> None:
    pieces = feature("cell", [[SQUARE, ring(15, 8, 20, 12)], [ring(32, 2, 36, 6)]], "MultiPolygon", colorRGB=RED)
    save(tmp_path, "train", pieces, feature("stroma", [ring(0, 0, 3, 3)], color=[0, 0, 200]), listed=True)
    data = QuPath(str(tmp_path))
    assert data.info.classes == ("background", "cell", "stroma")
    assert data.info.palette[1:] == ((200, 0, 0), (0, 0, 200))
    wanted = torch.zeros(SIZE, dtype=torch.uint8)
    wanted[5:15, 10:30] = wanted[2:6, 32:36] = 1
    wanted[8:12, 15:20] = 0
    wanted[:3, :3] = 2
    assert data[0].truth.semantic is not None
    assert torch.equal(data[0].truth.semantic, wanted)


def test_without_any_classification_all_are_objects(tmp_path: Path) -> None:
    save(tmp_path, "train", feature(None, [SQUARE]))
    assert QuPath(str(tmp_path)).info.classes == ("background", "object")
    save(tmp_path, "train", feature("cell", [SQUARE]), name="b")
    with pytest.warns(Notice, match="1 feature without a classification left out"):
        assert QuPath(str(tmp_path)).info.classes == ("background", "cell")


def test_points_and_images_without_a_file_are_counted(tmp_path: Path) -> None:
    save(tmp_path, "train", feature("cell", [SQUARE]), feature("cell", [1, 2], "Point"))
    write(tmp_path / "train/new.png", picture(SIZE))
    with pytest.warns(Notice) as told:
        QuPath(str(tmp_path))
    said = " ".join(str(one.message) for one in told)
    assert "1 feature of the type Point left out" in said
    assert "1 image without a .geojson, left out" in said


def test_an_image_is_found_by_name_in_a_folder_of_images(tmp_path: Path) -> None:
    save(tmp_path, "annotations/train", feature("cell", [SQUARE]), name="b.tif")
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations/train/b.tif.png").rename(tmp_path / "images/b.png")
    with pytest.raises(UserError, match=r"b\.tif\.geojson: its image 'b\.tif' is missing"):
        QuPath(str(tmp_path))
    (tmp_path / "images/b.png").rename(tmp_path / "images/b.tif.png")
    assert [path.name for path in QuPath(str(tmp_path)).files()] == ["b.tif.png"]
    write(tmp_path / "images/b.tif", picture(SIZE))
    with pytest.raises(UserError, match=r"fits b\.tif and b\.tif\.png"):
        QuPath(str(tmp_path))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (feature("cell", 3), "its coordinates are 3; give rings"),
        (feature("cell", [[[1]]]), "give x and y of each point"),
        (feature("cell", [[SQUARE], 3], kind="MultiPolygon"), "give rings"),
        (feature("cell", [[["a", 1]]]), "finite numbers"),
        (feature("cell", [[[1e9, 1]]]), "numbers from"),
        (feature("cell", [SQUARE], color="red"), "its color is 'red'"),
    ],
)
def test_a_damaged_feature_is_refused(found: dict[str, Any], said: str, tmp_path: Path) -> None:
    save(tmp_path, "train", found)
    with pytest.raises(UserError, match=rf"a\.geojson: features\[0\].*{said}"):
        QuPath(str(tmp_path))


@pytest.mark.parametrize("kind", [None, [], {"a": 1}])
def test_a_geometry_without_a_type_is_left_out(tmp_path: Path, kind: object) -> None:
    odd = feature("cell", [SQUARE])
    odd["geometry"]["type"] = kind
    save(tmp_path, "train", odd, feature("cell", [SQUARE]))
    with pytest.warns(Notice, match="1 feature of the type .* left out"):
        assert QuPath(str(tmp_path))[0].truth.count == 1
