"""Images of DICOM: values of the modality, windows, MONOCHROME1; what is no single image is refused."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from densepred.build.allowlist import check_info
from densepred.dataset import dicom_file
from densepred.dataset.folder import Folder
from densepred.dataset.image import from_array, read_image
from densepred.dataset.image_header import read_header
from densepred.errors import Notice, UserError
from densepred.jobs.parts import read_as_trained
from densepred.predictor import Predictor
from densepred.results import spacing
from densepred.types import Info
from tests.dataset.dicom_tree import saved
from tests.dataset.files import mask, write

pydicom = pytest.importorskip("pydicom")
RANDOM = np.random.default_rng(11)
TWELVE = RANDOM.integers(0, 4096, (20, 30), dtype=np.uint16)
TWELVE.flat[:2] = (0, 4095)
COLOUR = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def close(found: torch.Tensor, expected: np.ndarray) -> None:
    torch.testing.assert_close(found[0].double(), torch.from_numpy(expected).double(), atol=1e-6, rtol=0)


def hounsfield(low: float, high: float) -> np.ndarray:
    """The 12 bits as Hounsfield units, with this window as 0 to 1."""
    return np.clip((TWELVE.astype(float) - 1024 - low) / (high - low), 0, 1)


def test_rescale_and_window_give_the_values_of_the_modality(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.dcm", TWELVE, RescaleSlope=1, RescaleIntercept=-1024)
    close(read_image(path, max_value=(40, 400)), hounsfield(-160, 240))
    twice = saved(tmp_path / "b.dcm", TWELVE, RescaleSlope=2.5, RescaleIntercept=3)
    close(read_image(twice, max_value=(5000, 10_000)), np.clip((TWELVE * 2.5 + 3) / 10_000, 0, 1))
    header = read_header(path)
    assert (header.channels, header.depth, header.size) == (1, "floats", (20, 30))
    with pytest.raises(
        UserError, match=r"a\.dcm: holds floats from -1024 to 3071; .*'dataset\.window=\[1023\.5,4095\]'"
    ):
        read_image(path)


def test_without_rescale_white_is_that_of_the_depth(tmp_path: Path) -> None:
    close(read_image(saved(tmp_path / "a.dcm", TWELVE), max_value=4095), TWELVE / 4095)
    negative = saved(tmp_path / "b.dcm", TWELVE.astype(np.int16) - 1000)
    with pytest.raises(UserError, match=r"b\.dcm: holds integers from -1000 to 3095; .*window=\[1047\.5,4095\]"):
        read_image(negative)
    close(read_image(negative, max_value=(0, 2000)), np.clip(TWELVE / 2000, 0, 1))


def test_monochrome1_is_inverted_and_colours_stay(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.dcm", TWELVE, PhotometricInterpretation="MONOCHROME1")
    close(read_image(path, max_value=4095), 1 - TWELVE / 4095)
    close(read_image(path, max_value=(2000, 1000)), 1 - np.clip((TWELVE - 1500.0) / 1000, 0, 1))
    colour = read_image(saved(tmp_path / "b.dcm", COLOUR))
    assert torch.equal(colour, torch.from_numpy(COLOUR).permute(2, 0, 1))


def test_a_dataset_and_its_model_share_the_window(tmp_path: Path) -> None:
    for split in ("train", "val"):
        saved(tmp_path / f"images/{split}/a.dcm", TWELVE, RescaleSlope=1, RescaleIntercept=-1024)
        write(tmp_path / f"masks/{split}/a.png", mask((20, 30)))
    data = Folder(str(tmp_path), "valid", window=[40, 400])
    expected = hounsfield(-160, 240)
    close(data[0].image, expected)
    assert data.info.window == (40, 400)
    assert data.info.mean == pytest.approx([expected.mean()], abs=1e-4)
    assert data.images_line() == (
        "1 channel of floats, 20x30; -160 is black and 240 white, clipped beyond (dataset.window)"
    )
    info = data.info.from_json(data.info.to_json())
    assert info == data.info
    check_info(info.to_json())
    check_info(Info().to_json())
    for wrong in ([40], [40, -1], "40", 40):
        with pytest.raises(UserError, match=r"info\.window"):
            check_info({**info.to_json(), "window": wrong})
    model = Predictor.__new__(Predictor)
    model.task = SimpleNamespace(info=info)  # pyright: ignore[reportAttributeAccessIssue], all that reading needs
    assert torch.equal(model.read(tmp_path / "images/val/a.dcm"), data[0].image)
    assert read_as_trained({"window": None, "max_value": None}, info.to_json())["window"] == (40, 400)
    for wrong in ([40], [40, 0]):
        with pytest.raises(UserError, match=r"dataset\.window: .*\[center,width\]"):
            Folder(str(tmp_path), window=wrong)


@pytest.mark.parametrize("signed", [False, True])
def test_padding_is_black_and_void(signed: bool, tmp_path: Path) -> None:
    """Padding of -2000, and with a limit from there to -1900, becomes 0 in a window, as air does not."""
    values = TWELVE.astype(np.int16) - 1000
    values[:5], values[5:8], values[8] = -2000, -1950, -1000
    padding = -2000 if signed else 2**16 - 2000
    more = {"RescaleSlope": 1, "RescaleIntercept": 3, "PixelPaddingValue": padding, "PixelPaddingRangeLimit": -1900}
    if not signed:
        del more["PixelPaddingRangeLimit"]
    for split in ("train", "val"):
        saved(tmp_path / f"images/{split}/a.dcm", values, **more, padding_signed=signed)
        write(tmp_path / f"masks/{split}/a.png", mask((20, 30)))
    data = Folder(str(tmp_path), window=[-1000, 4000])
    outside = values <= -1950 if signed else values == -2000
    expected = np.where(outside, 0, np.clip((values + 3.0 + 3000) / 4000, 0, 1))
    close(data[0].image, expected)
    semantic = data[0].truth.semantic
    assert semantic is not None
    assert torch.equal(semantic == 255, torch.from_numpy(outside))
    assert data.info.mean == pytest.approx([expected[~outside].mean()], abs=1e-4)
    assert "1 of 1 name a value of pixels without data (-1997): black, and void" in data.images_line()
    inverted = saved(tmp_path / "b.dcm", values, **more, padding_signed=signed, PhotometricInterpretation="MONOCHROME1")
    close(read_image(inverted, max_value=(-1000, 4000)), np.where(outside, 0, 1 - expected))


def test_padding_of_integers_without_rescale(tmp_path: Path) -> None:
    values = TWELVE.copy()
    values[:5] = 4000
    path = saved(tmp_path / "a.dcm", values, PixelPaddingValue=4000)
    close(read_image(path, max_value=4095), np.where(values == 4000, 0, values / 4095))
    implicit = saved(tmp_path / "b.dcm", values, PixelPaddingValue=4000, syntax=pydicom.uid.ImplicitVRLittleEndian)
    assert read_header(implicit).nodata == 4000


def test_windows_serve_other_files_too() -> None:
    floats = RANDOM.normal(0, 100, (5, 6)).astype(np.float32)
    close(from_array(floats, max_value=(0, 200)), np.clip(floats / 200 + 0.5, 0, 1))
    bytes_ = RANDOM.integers(0, 256, (5, 6), dtype=np.uint8)
    assert torch.equal(from_array(bytes_, max_value=(0, 200))[0], torch.from_numpy(bytes_))


@pytest.mark.parametrize(
    ("wide", "said"), [(0, ""), (1, "; -160 is black and 240 white, clipped beyond (dataset.window)")]
)
def test_the_line_counts_bytes_that_a_window_leaves(tmp_path: Path, wide: int, said: str) -> None:
    for number in range(3):
        kind = np.int16 if number < wide else np.uint8
        path = tmp_path / f"images/train/{number}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.full((20, 30), number, kind))
        write(tmp_path / f"masks/train/{number}.png", mask((20, 30)))
    line = Folder(str(tmp_path), window=[40, 400]).images_line()
    assert line.endswith(f"; dataset.window changes none of the {3 - wide} of 3 that have 8 bits{said}")


def deflated(path: Path) -> None:
    """Write a file of which all behind the first part is deflated, to 100 MB."""
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    saved(path, TWELVE)
    whole = pydicom.dcmread(path)
    whole.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    whole.save_as(path, enforce_file_format=True)
    start = path.read_bytes()[: 132 + 12 + whole.file_meta.FileMetaInformationGroupLength]
    packed = zlib.compressobj(1, wbits=-15)
    path.write_bytes(start + packed.compress(bytes(100_000_000)) + packed.flush())


REFUSED = {
    "holds 2 frames": lambda path: saved(path, TWELVE, NumberOfFrames=2, PixelData=TWELVE.tobytes() * 2),
    "of the kind PALETTE COLOR": lambda path: saved(path, TWELVE, PhotometricInterpretation="PALETTE COLOR"),
    "is deflated": deflated,
    "cannot be read": lambda path: path.write_bytes(saved(path, TWELVE).read_bytes()[:900]),
    "max_pixels": lambda path: saved(path, TWELVE, Rows=60_000, Columns=60_000),
    "bytes of pixels": lambda path: os.truncate(saved(path, TWELVE), 70_000_000),
    "is empty": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_single_image_is_refused_by_name(tmp_path: Path, what: str) -> None:
    path = tmp_path / "a.dcm"
    REFUSED[what](path)
    with pytest.raises(UserError, match=rf"a\.dcm: .*{what}"):
        read_image(path)


def test_files_that_are_no_dicom_and_a_missing_library_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.dcm").write_bytes(b"no DICOM at all" * 20)
    with pytest.raises(UserError, match=r"a\.dcm: cannot be read"):
        read_image(tmp_path / "a.dcm")
    monkeypatch.setattr(dicom_file, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"a\.dcm: .*pip install 'densepred\[medical\]'"):
        read_image(tmp_path / "a.dcm")


def test_predictions_come_with_the_spacing_of_their_pixels(tmp_path: Path) -> None:
    known = {"PixelSpacing": [0.5, 0.75], "SliceThickness": 3, "ImagePositionPatient": [1, -2, 3.5]}
    files = [saved(tmp_path / "a.dcm", TWELVE, **known), saved(tmp_path / "b.dcm", TWELVE), tmp_path / "c.png"]
    with pytest.warns(Notice, match="1 of 2 images of DICOM tell no spacing"):
        assert spacing.write(files, [Path("a"), Path("b"), Path("c")], tmp_path) == ["spacing.json"]
    assert json.loads((tmp_path / "spacing.json").read_text()) == {
        "a": {"pixel_spacing_mm": [0.5, 0.75], "slice_thickness_mm": [3.0], "position_mm": [1.0, -2.0, 3.5]},
        "b": {},
    }
    assert spacing.write(files[2:], [Path("c")], tmp_path) == []
