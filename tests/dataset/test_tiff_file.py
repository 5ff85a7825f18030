"""TIFF files of many bands, depths and layouts, read by tifffile; those that would harm are refused."""

from __future__ import annotations

import resource
import time
import zlib
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.build.allowlist import check_info
from densepred.dataset import geo_file, tiff_file
from densepred.dataset.folder import Folder
from densepred.dataset.image import read_image
from densepred.dataset.image_file import beyond_pillow
from densepred.dataset.image_header import read_header
from densepred.dataset.mask import read_mask
from densepred.errors import UserError
from densepred.jobs.evaluation import as_trained
from densepred.loader.samples import checked
from densepred.predictor import Predictor
from tests.dataset.files import mask, write

tifffile = pytest.importorskip("tifffile")
RANDOM = np.random.default_rng(3)
BANDS = RANDOM.integers(0, 4096, (37, 45, 7), dtype=np.uint16)
BANDS.flat[0] = 4095
DEEP = RANDOM.integers(0, 65536, (37, 45, 3), dtype=np.uint16)
FLOATS = RANDOM.random((37, 45, 3), dtype=np.float32)


def saved(path: Path, values: np.ndarray, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, values, **{"photometric": "minisblack", "planarconfig": "contig", **options})
    return path


def close(found: torch.Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(found.double(), torch.from_numpy(expected).double().permute(2, 0, 1), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"tile": (16, 32)},
        {"rowsperstrip": 5},
        {"compression": "deflate"},
        {"compression": "deflate", "predictor": True, "tile": (16, 16)},
        {"compression": "deflate", "rowsperstrip": 7, "byteorder": ">"},
    ],
    ids=str,
)
def test_many_bands_are_read_from_every_layout(tmp_path: Path, options: dict[str, object]) -> None:
    if options.get("predictor") and not find_spec("imagecodecs"):
        options = {**options, "predictor": False}
    path = saved(tmp_path / "a.tif", BANDS, **options)
    close(read_image(path), BANDS / 65535)
    close(read_image(path, max_value=4095), BANDS / 4095)
    planes = np.moveaxis(BANDS, 2, 0)
    close(
        read_image(saved(path, planes, **{**options, "planarconfig": "separate"}), [7, 1]), BANDS[..., [6, 0]] / 65535
    )
    header = read_header(path)
    assert (header.channels, header.bands, header.depth, header.size) == (7, 7, "16 bits", (37, 45))


def test_colours_of_16_bits_and_floats_are_read_as_they_are(tmp_path: Path) -> None:
    close(read_image(saved(tmp_path / "a.tif", DEEP, photometric="rgb")), DEEP / 65535)
    close(read_image(saved(tmp_path / "b.tif", FLOATS, photometric="rgb")), FLOATS)
    close(read_image(saved(tmp_path / "c.tif", FLOATS[..., :2].astype(np.float16))), FLOATS[..., :2].astype(np.float16))
    close(read_image(saved(tmp_path / "d.tif", BANDS.astype(np.uint32))), BANDS / 65535)
    alpha = np.concatenate((DEEP, DEEP[..., :1]), 2)
    path = saved(tmp_path / "e.tif", alpha, photometric="rgb", extrasamples=["unassalpha"])
    close(read_image(path), DEEP / 65535)
    close(read_image(path, 4), alpha / 65535)
    assert (read_header(path).channels, read_header(path).bands) == (3, 4)


def test_bands_apart_of_16_bits_and_compressed_files_with_the_high_byte_first(tmp_path: Path) -> None:
    planes = {"photometric": "rgb", "planarconfig": "separate"}
    close(read_image(saved(tmp_path / "a.tif", np.moveaxis(DEEP, 2, 0), **planes)), DEEP / 65535)
    turned = {"byteorder": ">", "compression": "deflate"}
    close(read_image(saved(tmp_path / "b.tif", FLOATS[..., 0], **turned)), FLOATS[..., :1])
    signed = DEEP[..., 0].astype(np.int16)
    close(
        read_image(saved(tmp_path / "c.tif", signed, **turned), max_value=(0, 70000)), signed[..., None] / 70000 + 0.5
    )
    ids = (signed % 7).astype(np.int32)
    assert np.array_equal(read_mask(saved(tmp_path / "d.tif", ids, **turned)), ids)


def test_what_pillow_reads_truly_it_goes_on_reading(tmp_path: Path) -> None:
    grey = Image.fromarray(DEEP[..., 0])
    grey.save(tmp_path / "a.tif", save_all=True, append_images=[grey])
    saved(tmp_path / "b.tif", (DEEP // 256).astype(np.uint8), photometric="rgb", bigtiff=True)
    Image.fromarray(np.zeros((4, 5, 4), np.uint8), "CMYK").save(tmp_path / "c.tif")
    for name in "abc":
        assert beyond_pillow(tmp_path / f"{name}.tif") is None
    grey.save(tmp_path / "a.png")
    assert beyond_pillow(tmp_path / "a.png") is None


def test_white_as_zero_is_inverted_and_previews_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        options = {"photometric": "miniswhite", "planarconfig": "contig"}
        file.write(BANDS[::4, ::4], subfiletype=1, **options)
        file.write(BANDS, **options)
    close(read_image(path), 1 - BANDS / 65535)
    assert read_header(path).previews == 1
    with pytest.raises(UserError, match=r"a\.tif: the mask is stored with 0 as white"):
        read_mask(path)


def test_pages_of_other_numbers_are_channels(tmp_path: Path) -> None:
    pages = np.moveaxis(FLOATS, 2, 0).astype(np.float16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pages, photometric="minisblack")
    close(read_image(path), FLOATS.astype(np.float16))
    with pytest.raises(UserError, match=r"a\.tif: the mask has 3 pages"):
        read_mask(path)
    ids = BANDS[..., 0].astype(np.uint64)
    assert (read_mask(saved(path, ids)) == ids).all()


def test_orientation_turns_bands_too(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", BANDS, extratags=[(274, "H", 1, 6, True)])
    close(read_image(path), np.rot90(BANDS, -1) / 65535)
    close(read_image(path, upright=False), BANDS / 65535)


def test_uncompressed_files_are_mapped(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", np.moveaxis(BANDS, 2, 0), planarconfig="separate")
    values = tiff_file.read_values(path, 10**6, "")
    base = values.base
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert (values == BANDS).all()


def tree(root: Path, values: np.ndarray = BANDS) -> Path:
    for split in ("train", "val"):
        saved(root / f"images/{split}/a.tif", values)
        write(root / f"masks/{split}/a.png", mask((37, 45)))
    return root


def test_bands_are_chosen_measured_and_told(tmp_path: Path) -> None:
    root = tree(tmp_path)
    whole = Folder(str(root))
    assert whole.info.channels == 7
    assert whole.images_line() == "7 channels of 16 bits, 37x45; white is 4095 (dataset.max_value sets it)"
    data = Folder(str(root), "valid", channels=[4, 3, 2])
    assert (data.info.channels, data.info.bands, data.info.reads) == (3, (4, 3, 2), (4, 3, 2))
    chosen = BANDS[..., [3, 2, 1]] / 4095
    close(checked(data[0]).image, chosen)
    assert data.info.mean == pytest.approx(chosen.mean((0, 1)), abs=1e-4)
    assert data.info.std == pytest.approx(chosen.std((0, 1)), abs=1e-4)
    assert data.images_line().endswith(
        "white is 4095 (dataset.max_value sets it); bands 4, 3, 2 of 7 (dataset.channels)"
    )
    with pytest.raises(UserError, match=r"a\.tif: has 7 bands, dataset\.channels asks for \[8\]"):
        Folder(str(root), channels=[8])
    assert data.info.from_json(data.info.to_json()) == data.info
    check_info(data.info.to_json())
    with pytest.raises(UserError, match=r"info\.bands"):
        check_info({**data.info.to_json(), "bands": [4, 3]})


def test_bands_of_usual_images_are_chosen_too(tmp_path: Path) -> None:
    colours = RANDOM.integers(0, 256, (37, 45, 4), dtype=np.uint8)
    write(tmp_path / "a.png", colours)
    np.save(tmp_path / "a.npy", colours)
    for name in ("a.png", "a.npy"):
        assert torch.equal(read_image(tmp_path / name, [4, 1]), torch.from_numpy(colours[..., [3, 0]]).permute(2, 0, 1))


HOSTILE = {
    "a part that becomes 100 MB": lambda path: bomb(path, 100_000_000),
    "cut off": lambda path: path.write_bytes(saved(path, BANDS).read_bytes()[:9000]),
    "cut off in the header": lambda path: path.write_bytes(saved(path, BANDS).read_bytes()[:60]),
    "cut off and deflated": lambda path: path.write_bytes(
        saved(path, BANDS, compression="deflate").read_bytes()[:9000]
    ),
    "complex numbers": lambda path: saved(path, FLOATS.astype(np.complex64)),
    "colours of print": lambda path: saved(path, DEEP[..., [0, 1, 2, 0]], photometric="separated"),
    "a volume": lambda path: tifffile.imwrite(
        path, np.moveaxis(BANDS, 2, 0), volumetric=True, tile=(1, 16, 16), photometric="minisblack"
    ),
    "a volume of bands": lambda path: tifffile.imwrite(
        path, np.stack((DEEP, DEEP)), volumetric=True, tile=(1, 16, 16), photometric="rgb"
    ),
    "pages without directories": lambda path: tifffile.imwrite(path, DEEP.T, imagej=True, truncate=True),
    "bands without directories": lambda path: tifffile.imwrite(
        path, np.stack((DEEP, DEEP)), truncate=True, photometric="rgb"
    ),
    "pages of bands": lambda path: tifffile.imwrite(path, np.stack((DEEP, DEEP)), photometric="rgb"),
}


def bomb(path: Path, size: int) -> None:
    """Write the header of an image of 7 bands with one strip that holds other data than its pixels."""
    saved(path, BANDS, compression="deflate", rowsperstrip=37)
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
    data, whole = zlib.compress(bytes(size), 1), bytearray(path.read_bytes())
    for tag, value in ((273, len(whole)), (279, len(data))):  # place and length of the strip
        at = tags[tag].valueoffset
        whole[at : at + 4] = value.to_bytes(4, "little")
    path.write_bytes(whole + data)


@pytest.mark.parametrize("name", HOSTILE)
def test_harmful_and_strange_files_are_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tif"
    HOSTILE[name](path)
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(UserError, match=r"a\.tif: "):
        read_image(path)
    assert time.process_time() - begin < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 * 1024


def test_size_is_checked_before_anything_is_decoded(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", BANDS, compression="deflate")
    for read in (read_image, read_header):
        with pytest.raises(UserError, match=r"a\.tif: 37x45 pixels of 14 bytes .*raise max_pixels"):
            read(path, max_pixels=5000)


def test_a_missing_library_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.tif", BANDS)
    for module in (tiff_file, geo_file):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"a\.tif: Pillow cannot read this TIFF .*pip install 'densepred\[tiff\]'"):
        read_image(path)


def test_a_run_and_a_dataset_of_other_bands_are_not_mixed(tmp_path: Path) -> None:
    root = str(tree(tmp_path))

    class Trained:  # what is read of a task
        info = Folder(root, channels=[4, 3, 2]).info

    with pytest.raises(
        UserError, match=r"on the bands \[4, 3, 2\].*names \[1, 2, 3\]; set dataset\.channels=\[4, 3, 2\]"
    ):
        as_trained(Trained(), Folder(root, channels=[1, 2, 3]), Path("RUN"))  # pyright: ignore[reportArgumentType]


def test_a_model_takes_its_bands_of_files_and_its_channels_of_tensors(tmp_path: Path) -> None:
    info = Folder(str(tree(tmp_path)), channels=[4, 3, 2]).info
    model = Predictor.__new__(Predictor)
    model.task = SimpleNamespace(info=info)  # pyright: ignore[reportAttributeAccessIssue], all that reading needs
    pixels = model.read(tmp_path / "images/val/a.tif")
    close(pixels, BANDS[..., [3, 2, 1]] / 4095)
    assert torch.equal(model.read(pixels), pixels)
