"""Images of several files, one per channel, as nnU-Net's dataset.json lists them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from densepred.dataset import channel_files
from densepred.dataset.folder import Folder
from densepred.dataset.image import read_as_trained, read_image
from densepred.errors import Notice, UserError
from densepred.results.inputs import images
from tests.dataset.files import write

SIZE = (20, 30)


def values(case: int, channel: int, highest: int = 255) -> np.ndarray:
    dtype = np.uint8 if highest < 256 else np.uint16
    return np.random.default_rng(10 * case + channel).integers(0, highest, SIZE).astype(dtype)


def tree(root: Path, channels: int = 2, highest: int = 255, end: str = ".png") -> list[str]:
    """Write four cases and a dataset.json, and return the names of the first channels."""
    names = {str(number): "modality" for number in range(channels)}
    text = {"channel_names": names, "labels": {"background": 0, "cell": 1}, "numTraining": 4, "file_ending": end}
    root.mkdir(exist_ok=True)
    (root / "dataset.json").write_text(json.dumps(text))
    for case in range(4):
        for channel in range(channels):
            write(root / f"imagesTr/c_{case:04}_{channel:04}{end}", values(case, channel, highest))
        mask = np.zeros(SIZE, np.uint8)
        mask[3:9, 4:20] = 1
        write(root / f"labelsTr/c_{case:04}.png", mask)
    return [f"c_{case:04}_0000{end}" for case in range(4)]


def folder(root: Path) -> Folder:
    splits = {"train": 0.5, "valid": 0.5}
    return Folder(str(root), "train", splits, "imagesTr", "labelsTr", image_suffix="_0000")


@pytest.mark.parametrize(("highest", "end", "white"), [(255, ".png", 255), (4000, ".png", 4095), (255, ".tif", 255)])
def test_the_files_of_a_case_are_the_channels_of_an_image(tmp_path: Path, highest: int, end: str, white: int) -> None:
    tree(tmp_path, 2, highest, end)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)  # about files that are left out
        warnings.filterwarnings("ignore", "dataset.splits|.*names 2 classes")
        data = folder(tmp_path)
    assert data.info.channels == len(data.info.mean) == 2
    assert data.images_line().startswith("2 channels of ")
    for index, path in enumerate(data.files()):
        case = int(path.stem.split("_")[1])
        expected = np.stack([values(case, channel, highest) for channel in range(2)])
        image = data[index].image
        assert torch.equal(read_as_trained(path, data.info).image, image)
        image = image.numpy() * (white if image.dtype == torch.float32 else 1)
        np.testing.assert_allclose(image, expected, atol=1e-3)
        assert int(data[index].truth.need("semantic").sum()) == 6 * 16


def test_predictions_take_each_case_once(tmp_path: Path) -> None:
    names = tree(tmp_path)
    with pytest.warns(Notice, match=r"4 files hold further channels of a case, by dataset\.json \(c_0000_0001\.png of"):
        assert [path.name for path in images(tmp_path / "imagesTr")] == names


def test_labels_and_images_of_one_file_stay_what_they_are(tmp_path: Path) -> None:
    tree(tmp_path)
    assert channel_files.of(tmp_path / "labelsTr/c_0000.png") == []  # another case is called c_0001
    for case in range(4):
        (tmp_path / f"imagesTr/c_{case:04}_0001.png").unlink()
    assert folder(tmp_path).info.channels == 1
    tree(tmp_path / "frames")
    (tmp_path / "frames/dataset.json").unlink()
    assert read_image(tmp_path / "frames/imagesTr/c_0000_0000.png").shape == (1, *SIZE)


def test_a_missing_channel_and_one_of_another_kind_are_refused(tmp_path: Path) -> None:
    tree(tmp_path, 3)
    first, second = (tmp_path / f"imagesTr/c_0002_000{number}.png" for number in range(2))
    second.unlink()
    with pytest.raises(UserError, match=r"dataset\.json lists 3 channels, and c_0002_0001\.png is missing; add it"):
        read_image(first)
    for wrong, said in (
        (np.zeros((20, 31), np.uint8), r"is 20x31 of 8 bits, and the first channel, .* is 20x30 of 8 bits; save"),
        (np.zeros(SIZE, np.uint16), r"is 20x30 of 16 bits, and the first"),
        (np.zeros((*SIZE, 3), np.uint8), r"is one of several channels, and holds RGB; save it in grey"),
    ):
        write(second, wrong)
        with pytest.raises(UserError, match=rf"c_0002_0001\.png: {said}"):
            read_image(first)
