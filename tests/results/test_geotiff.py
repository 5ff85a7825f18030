"""Predictions of GeoTIFF lie where their images do, and large images are predicted in windows with the same result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from densepred import predict
from densepred.dataset import geo_file, tiff_file
from densepred.dataset.image import read_image
from densepred.dataset.mask import read_mask
from densepred.errors import Notice, UserError
from densepred.results import geo_windows, geotiff
from densepred.types import VOID, Annotation, Info
from tests import running
from tests.conftest import composed
from tests.dataset.files import write

rasterio = pytest.importorskip("rasterio")
RANDOM = np.random.default_rng(7)
SHIFT = rasterio.Affine(10, 0, 500_000, 0, -10, 5_300_000)
WHERE = geo_file.Place(rasterio.crs.CRS.from_epsg(32633), SHIFT, (52, 70))
HOLE = np.zeros((52, 70), bool)
HOLE[5:20, 30:61] = True


def image(path: Path, **options: Any) -> Path:
    bands = RANDOM.integers(1, 255, (3, 52, 70), dtype=np.uint8)
    bands[:, HOLE] = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    geotiff.write(path, bands, WHERE, nodata=0)
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("geo") / "run"
    running.train(folder, "trainer.max_steps=1")
    return folder


def predicted(run: Path, folder: Path, *words: str) -> Path:
    out = folder / f"out{len(words)}"
    given = (f"ckpt={run}", f"input={folder / 'in'}", f"output={out}", *words)
    assert predict.predict(composed(*given, name="predict")) == 0
    return out


def test_predictions_lie_where_their_image_does(run: Path, tmp_path: Path) -> None:
    image(tmp_path / "in/s/a.tif")
    write(tmp_path / "in/b.png", RANDOM.integers(0, 255, (20, 30, 3), dtype=np.uint8))
    out = predicted(run, tmp_path, "probabilities=true")
    assert [path.relative_to(out).as_posix() for path in sorted((out / "geotiff").rglob("*.tif"))] == [
        "geotiff/labels/s/a.tif",
        "geotiff/probabilities/s/a.tif",
    ]
    labels = np.array(Image.open(out / "labels/s/a.png"))
    assert (labels[HOLE] == VOID).all()
    assert (labels[~HOLE] != VOID).all()
    with rasterio.open(out / "geotiff/labels/s/a.tif") as file:
        assert (file.crs, file.transform, file.nodata) == (WHERE.crs, SHIFT, VOID)
        assert (file.read(1) == labels).all()
        assert len({file.colormap(1)[index] for index in range(4)}) == 4
    with rasterio.open(out / "geotiff/probabilities/s/a.tif") as file:
        assert file.transform == SHIFT
        assert file.descriptions[0] == "background"
        assert (file.read().argmax(0) == labels)[~HOLE].all()


def test_windows_give_the_labels_of_the_whole_image(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image(tmp_path / "in/a.tif")
    expected = np.array(Image.open(predicted(run, tmp_path, "tile=32") / "labels/a.png"))
    monkeypatch.setattr(geo_windows, "HELD", 0)
    with pytest.warns(Notice, match=r"a\.tif: 52x70 pixels are predicted in windows"):
        out = predicted(run, tmp_path, "tile=32", "overlap=0.5")
    assert not (out / "labels").exists()
    with rasterio.open(out / "geotiff/labels/a.tif") as file:
        assert (file.crs, file.transform, file.nodata) == (WHERE.crs, SHIFT, VOID)
        assert (file.read(1) == expected).all()
    assert (expected[HOLE] == VOID).all()


def test_a_large_image_that_must_be_held_gives_a_notice_with_the_reason(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(tmp_path / "in/a.tif")
    monkeypatch.setattr(geo_windows, "HELD", 0)
    with pytest.warns(Notice, match=r"a\.tif: needs about 0\.0 GiB, and is predicted as a whole because of flip=True"):
        out = predicted(run, tmp_path, "tile=32", "flip=true")
    assert (out / "labels/a.png").is_file()


def test_windows_keep_to_max_pixels(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image(tmp_path / "in/a.tif")
    monkeypatch.setattr(geo_windows, "HELD", 0)
    with pytest.raises(UserError, match="none of 1 image"):
        predicted(run, tmp_path, "tile=32", "max_pixels=3000")


def test_instances_are_written_with_their_ids(tmp_path: Path) -> None:
    path = image(tmp_path / "a.tif")
    ids = torch.from_numpy(RANDOM.integers(0, 70_000, (52, 70), dtype=np.int32))
    geotiff.GeoTiffs(tmp_path, Info()).add(Path("a"), path, Annotation((52, 70), instances=ids))
    with rasterio.open(tmp_path / "geotiff/instances/a.tif") as file:
        assert (file.read(1) == ids.numpy()).all()
        assert (file.transform, file.nodata) == (SHIFT, 0)


def test_without_rasterio_a_line_tells_what_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [image(tmp_path / "a.tif")]
    write(tmp_path / "b.tif", np.zeros((4, 5), np.uint8))
    monkeypatch.setattr(geo_file, "find_spec", lambda name: None)
    with pytest.warns(Notice, match=r"1 of 2 images lie on a map; .*pip install 'densepred\[geo\]'"):
        assert geotiff.writer([*files, tmp_path / "b.tif"], tmp_path, Info()) is None
    assert geotiff.writer([tmp_path / "b.tif"], tmp_path, Info()) is None


@pytest.mark.parametrize("compress", ["lzw", "jpeg"])
def test_what_tifffile_does_not_decode_is_read_by_gdal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: str
) -> None:
    bands = (
        np.full((5, 64, 64), 100, np.uint8) if compress == "jpeg" else RANDOM.integers(0, 255, (5, 64, 64), np.uint8)
    )
    path = tmp_path / "a.tif"
    shape = {
        "count": 5,
        "height": 64,
        "width": 64,
        "dtype": "uint8",
        "interleave": "band",
        "crs": WHERE.crs,
        "transform": SHIFT,
    }
    with rasterio.open(path, "w", driver="GTiff", compress=compress, **shape) as file:
        file.write(bands)
    monkeypatch.setattr(tiff_file, "find_spec", lambda name: None)
    assert torch.equal(read_image(path), torch.from_numpy(bands))
    assert torch.equal(read_image(path, [5, 2]), torch.from_numpy(bands[[4, 1]]))
    if compress == "jpeg":
        with pytest.raises(UserError, match=r"a\.tif: its compression changes labels"):
            read_mask(path)
    with pytest.raises(UserError, match=r"a\.tif: 64x64 pixels of 5 bytes .*max_pixels"):
        read_image(path, max_pixels=5000)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(UserError, match=r"a\.tif: "):
        read_image(path)
