"""Slices of volumes, against nibabel's own reorientation; what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from densepred.dataset.folder import Folder
from densepred.dataset.nifti import Nifti
from densepred.errors import Notice, UserError
from densepred.types import Info
from tests.dataset.nifti_tree import SHAPE, affine, save, tree, write

nibabel = pytest.importorskip("nibabel")
ALL = {"train": 1.0}


def shown(values: np.ndarray, codes: str, axis: int, number: int) -> np.ndarray:
    """Return a slice by nibabel: reoriented to RAS, then from head to foot, front to back, right to left."""
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(values, affine(codes)))
    return np.take(np.asarray(canonical.dataobj), number, axis).T[::-1, ::-1]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SRA"])
@pytest.mark.parametrize(("plane", "axis"), [("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_slices_are_those_that_radiologists_view(codes: str, plane: str, axis: int, tmp_path: Path) -> None:
    image, labels = save(tmp_path, "a", codes)
    data = Nifti(str(tmp_path), splits=ALL, axis=plane, window=[0, 2000], classes=3)
    number = len(data) - 1
    expected = np.stack([np.clip(shown(one, codes, axis, number) / 2000 + 0.5, 0, 1) for one in image])
    torch.testing.assert_close(data[number].image, torch.from_numpy(expected.astype(np.float32)))
    semantic = data[number].truth.semantic
    assert semantic is not None
    assert torch.equal(semantic, torch.from_numpy(shown(labels, codes, axis, number).copy()))
    assert data.identity(number) == (None, f"a/{number:04d}")
    volume = data.cases[0].mask
    slices = np.stack([volume.slice(axis, n)[..., 0] for n in range(len(data))])
    assert np.array_equal(volume.assembled(slices, axis), labels)


def test_the_line_tells_orientation_spacing_and_window(tmp_path: Path) -> None:
    save(tmp_path, "a", "RAS")
    save(tmp_path, "b", "LPS")
    data = Nifti(str(tmp_path), splits=ALL, window=[40, 400])
    assert data.images_line() == (
        "6 axial slices of 2 volumes (stored 1 RAS, 1 LPS), 2 channels, 6x8, rows to the back and columns to the left; "
        "pixels of 0.5 to 0.75 mm, slices 3 mm apart; -160 is black and 240 white, clipped beyond (dataset.window)"
    )


def test_classes_of_dataset_json_and_splits_by_case(tmp_path: Path) -> None:
    tree(tmp_path, "all")
    parts = {split: Nifti(str(tmp_path), split) for split in ("train", "valid", "test")}
    assert parts["train"].info == parts["valid"].info
    assert parts["train"].info.classes == ("background", "liver", "tumour")
    names = [{part.identity(i)[1].split("/")[0] for i in range(len(part))} for part in parts.values()]
    assert sum(map(len, names)) == len(set.union(*names)) == 20
    assert sum(map(len, parts.values())) == 20 * SHAPE[2]
    folds = [Nifti(str(tmp_path), "valid", folds=3, fold=fold).cases for fold in range(3)]
    assert sum(map(len, folds)) == len(names[0] | names[1])


def test_the_window_is_that_of_the_middle_of_the_training_values(tmp_path: Path) -> None:
    image, _ = save(tmp_path, "a", channels=1)
    window = Nifti(str(tmp_path), splits=ALL).info.window
    low, high = np.percentile(image, (0.5, 99.5))
    assert window == pytest.approx(((low + high) / 2, high - low), abs=1e-3)


def test_a_fourth_axis_holds_channels(tmp_path: Path) -> None:
    image, labels = save(tmp_path / "a", "a")
    write(tmp_path / "b/imagesTr/a.nii", np.moveaxis(image, 0, 3))
    write(tmp_path / "b/labelsTr/a.nii", labels)
    one, other = (Nifti(str(tmp_path / name), splits=ALL, window=[0, 2000]) for name in "ab")
    assert torch.equal(one[1].image, other[1].image)


def test_what_nibabel_replaces_in_a_header_gives_a_notice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image, labels = save(tmp_path, "a", channels=1)
    (tmp_path / "imagesTr/a_0000.nii.gz").unlink()
    write(tmp_path / "imagesTr/a.nii", image[0])
    path = tmp_path / "imagesTr/a.nii"
    data = bytearray(path.read_bytes())
    data[252:254] = (77).to_bytes(2, "little")  # qform_code, of which 4 is the highest
    path.write_bytes(data)
    with pytest.warns(Notice, match=r"a\.nii: its header was mended: qform_code 77 not valid; setting to 0"):
        found = Nifti(str(tmp_path), splits=ALL, classes=3)
    assert len(found) == labels.shape[2]
    assert capfd.readouterr().err == ""


def test_dataset_folder_names_it(tmp_path: Path) -> None:
    tree(tmp_path, "all")
    with pytest.raises(UserError, match=r"nnU-Net's raw form: type dataset=nifti$"):
        Folder(str(tmp_path))


def refused(root: Path, said: str, **more: Any) -> None:
    with pytest.raises(UserError, match=said):
        Nifti(str(root), splits=ALL, **more)


def test_volumes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", "a", mask_codes="LAS")
    refused(tmp_path / "a", r"labelsTr/a\.nii\.gz: has 8x6x3 voxels \(LAS\), but a_0000\.nii\.gz has 8x6x3 \(RAS\)")
    image, labels = save(tmp_path / "b", "a")
    write(tmp_path / "b/labelsTr/a.nii.gz", labels + 0.5)
    refused(tmp_path / "b", "its labels hold fractions")
    write(tmp_path / "b/labelsTr/a.nii.gz", labels * 2)
    refused(tmp_path / "b", r"hold the ids \[0, 2, 4\]; number them")
    assert Nifti(str(tmp_path / "b"), splits=ALL, label_map={2: 1, 4: 255}).info.classes == ("class_0", "class_1")
    write(tmp_path / "b/imagesTr/b.nii.gz", image[0])
    refused(tmp_path / "b", r"1 case without labels, 0 labels without a case \('b'\)")
    with pytest.warns(Notice, match="left out"):
        assert len(Nifti(str(tmp_path / "b"), splits=ALL, unpaired="skip", classes=5)) == SHAPE[2]
    write(tmp_path / "b/labelsTr/b.nii.gz", labels)
    refused(tmp_path / "b", r"labelsTr/b\.nii\.gz: the case has 1 channels and 1 of labels, a has 2")


def test_labels_of_doubtful_meaning_give_a_notice_or_an_error(tmp_path: Path) -> None:
    for number in range(12):
        _, labels = save(tmp_path, f"a{number}")
        counted = np.minimum(np.arange(labels.size), number).astype(np.uint8)
        write(tmp_path / f"labelsTr/a{number}.nii.gz", counted.reshape(labels.shape))
    with pytest.warns(Notice, match=r"highest one, which is 0 to 11, as if they numbered instances"):
        Nifti(str(tmp_path), splits=ALL)
    write(tmp_path / "labelsTr/a0.nii.gz", np.where(labels > 1, 255, labels).astype(np.uint8))
    refused(tmp_path, r"a0\.nii\.gz: holds the id 255; if it means unknown, add dataset\.ignore_index=255")


def test_a_volume_of_void_alone_tells_nothing_of_the_classes(tmp_path: Path) -> None:
    _, labels = save(tmp_path, "a")
    save(tmp_path, "b")
    write(tmp_path / "labelsTr/b.nii.gz", np.full_like(labels, 9))
    assert len(Nifti(str(tmp_path), splits=ALL, ignore_index=9).info.classes) == labels.max() + 1


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "a")
    path = tmp_path / "imagesTr/a_0001.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    refused(tmp_path, r"a_0001\.nii\.gz: cannot be read")
    path.write_bytes(b"no volume")
    refused(tmp_path, r"a_0001\.nii\.gz: cannot be read")
    path.write_bytes(whole)
    refused(tmp_path, "pixels", max_pixels=10)
    refused(tmp_path / "labelsTr", "imagesTr: holds no .nii")


def test_each_channel_has_a_window_of_its_own(tmp_path: Path) -> None:
    """CT in thousands beside a map of 0 to 1, which the window of both together would make flat."""
    volumes = [save(tmp_path, f"case{number}", channels=2)[0] for number in range(4)]
    for number, volume in enumerate(volumes):
        volume[1] /= 1e4
        for channel in (0, 1):
            write(tmp_path / f"imagesTr/case{number}_{channel:04d}.nii.gz", volume[channel])
    data = Nifti(str(tmp_path), splits=ALL, classes=3)
    values = np.stack(volumes, 1).reshape(2, -1)
    low, high = np.percentile(values, (0.5, 99.5), axis=1)
    assert data.info.window is not None
    assert np.allclose(np.array(data.info.window), np.stack(((low + high) / 2, high - low), 1), atol=1e-4)
    images = torch.stack([data[i].image for i in range(len(data))])
    assert torch.allclose(images.mean((0, 2, 3)), torch.tensor(data.info.mean), atol=2e-4)
    assert float(images[:, 1].std()) > 0.1
    assert "of 2 channels, clipped beyond (dataset.window)" in data.images_line()
    restored = Info.from_json(json.loads(json.dumps(data.info.to_json())))
    assert restored == data.info
    typed = Nifti(str(tmp_path), splits=ALL, classes=3, window=[list(pair) for pair in np.array(data.info.window)])
    assert torch.equal(typed[0].image, data[0].image)


def test_windows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "case0")
    for window in ([[0, 1], [0, 0]], [[0, 1], 3], [0], "ab"):
        with pytest.raises(UserError, match=r"dataset\.window: .*give \[center,width\]"):
            Nifti(str(tmp_path), splits=ALL, classes=3, window=window)
    with pytest.raises(UserError, match=r"has 2 channels, and dataset\.window is that of 3"):
        Nifti(str(tmp_path), splits=ALL, classes=3, window=[[0, 1]] * 3)


@pytest.mark.parametrize("name", ["imagesTr/case0_0000", "labelsTr/case0"])
def test_a_volume_that_is_there_twice_is_refused(tmp_path: Path, name: str) -> None:
    """As another channel, or as the labels that were listed last, it would be read in silence."""
    tree(tmp_path, "all")
    volume = nibabel.load(tmp_path / f"{name}.nii.gz")
    volume.to_filename(tmp_path / f"{name}.nii")
    file = name.partition("/")[2]
    with pytest.raises(UserError, match=rf"{file}\.nii and {file}\.nii\.gz have one name; remove one"):
        Nifti(str(tmp_path), splits=ALL)
