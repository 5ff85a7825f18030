"""CoNSeP, HoVer-Net's patches and PanNuke in small trees like the official ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from densepred.dataset.folder import Folder
from densepred.dataset.hovernet import CONSEP, HoverNet
from densepred.dataset.pannuke import PanNuke
from densepred.errors import Notice, UserError
from densepred.types import VOID
from tests.dataset import hovernet_tree, pannuke_tree
from tests.dataset.files import picture, write
from tests.dataset.hovernet_tree import IDS, TYPES

MERGED = ["other", "inflammatory", "epithelial", "epithelial", "spindle", "spindle", "spindle"]


@pytest.mark.parametrize("draw", [hovernet_tree.tree, hovernet_tree.patches])
def test_nuclei_have_the_type_of_most_of_their_pixels(draw: Callable[..., None], tmp_path: Path) -> None:
    draw(tmp_path, "Test")
    data = HoverNet(str(tmp_path), "test")
    truth = data[0].truth
    assert data.info.classes == ("background", *CONSEP)
    assert torch.equal(truth.need("semantic"), torch.from_numpy(TYPES.astype(np.uint8)))
    assert truth.need("categories").tolist() == [4, 2, 7]
    assert truth.need("areas").tolist() == [256, 128, 64]
    assert np.array_equal(truth.need("instances").numpy() > 0, IDS > 0)
    merged = HoverNet(str(tmp_path), "test", types=MERGED)
    assert merged.info.classes == ("background", "other", "inflammatory", "epithelial", "spindle")
    assert merged[0].truth.need("categories").tolist() == [3, 2, 4]


@pytest.mark.parametrize(("kinds", "numbers"), [("inst_type", "inst_uid"), ("class", "id")])
def test_types_listed_per_nucleus_stand_for_a_map(kinds: str, numbers: str, tmp_path: Path) -> None:
    """The forms of HoVer-Net's output and of Lizard; the map of ids of the latter need not list them in order."""
    hovernet_tree.tree(tmp_path, "Test")
    for path in tmp_path.glob("Test/Labels/*.mat"):
        savemat(path, {"inst_map": IDS, kinds: np.array([[2], [7], [4]]), numbers: np.array([7, 9, 3])})
    data = HoverNet(str(tmp_path), "test")
    assert torch.equal(data[0].truth.need("semantic"), torch.from_numpy(TYPES.astype(np.uint8)))
    assert data[0].truth.need("categories").tolist() == [4, 2, 7]
    savemat(data.pairs[0].mask, {"inst_map": IDS, kinds: np.array([[2], [7]]), numbers: np.array([7, 9, 3])})
    with pytest.raises(UserError, match=rf"{kinds} has 2 entries and {numbers} 3; correct it"):
        data[0]


def test_the_output_of_hovernet_is_recognised(tmp_path: Path) -> None:
    write(tmp_path / "images/a.png", picture(IDS.shape))
    write(tmp_path / "out/overlay/a.png", picture(IDS.shape))
    (tmp_path / "out/mat").mkdir()
    savemat(tmp_path / "out/mat/a.mat", {"inst_map": IDS, "inst_uid": np.array([3, 7, 9])}, do_compression=True)
    words = "dataset=hovernet dataset.images=images dataset.labels=out/mat dataset.types=null"
    with pytest.raises(UserError, match=rf"HoVer-Net's output: type {words}"):
        Folder(str(tmp_path))
    with pytest.raises(UserError, match=r"holds the images of training, too; name others by {split}"):
        HoverNet(str(tmp_path), "test", images="images", labels="out/mat", types=None)


def test_colours_of_a_patch_are_its_first_channels(tmp_path: Path) -> None:
    hovernet_tree.patches(tmp_path, "Test")
    data = HoverNet(str(tmp_path), "test")
    stored = np.load(data.files()[0])
    assert torch.equal(data[0].image, torch.from_numpy(stored[..., :3].astype(np.uint8)).permute(2, 0, 1))


def test_colours_as_fractions_are_refused_not_blackened(tmp_path: Path) -> None:
    hovernet_tree.patches(tmp_path, "Test")
    for path in tmp_path.glob("Test/*.npy"):
        patch = np.load(path).astype(np.float32)
        patch[..., :3] /= 255
        np.save(path, patch)
    with pytest.raises(UserError, match=r"\.npy: one of its first three channels holds 0\.\d+; .* 0 to 255"):
        HoverNet(str(tmp_path), "test")[0]


def test_labels_without_an_image_are_named(tmp_path: Path) -> None:
    hovernet_tree.tree(tmp_path, "Test")
    savemat(tmp_path / "Test/Labels/test_99.mat", hovernet_tree.maps())
    with pytest.warns(Notice, match=r"Labels: 1 \.mat file left out for want of an image \(test_99\.mat\)"):
        assert len(HoverNet(str(tmp_path), "test")) == 10


def test_validation_is_held_out_of_train(tmp_path: Path) -> None:
    hovernet_tree.tree(tmp_path, "Train")
    names = [{pair.id for pair in HoverNet(str(tmp_path), split, held_out=0.3).pairs} for split in ("train", "valid")]
    assert names[0] | names[1] == {f"train_{number}" for number in range(1, 11)}
    assert not names[0] & names[1]


@pytest.mark.parametrize(("channels", "matlab"), [(4, False), (0, True)])
def test_labels_without_types_have_one_class(channels: int, matlab: bool, tmp_path: Path) -> None:
    if matlab:
        hovernet_tree.tree(tmp_path, "Test")
        for path in tmp_path.glob("Test/Labels/*.mat"):
            savemat(path, {"inst_map": IDS.astype(float)})
    else:
        hovernet_tree.patches(tmp_path, "Test", channels)
    with pytest.raises(UserError, match=r"set dataset\.types=null"):
        HoverNet(str(tmp_path), "test")[0]
    data = HoverNet(str(tmp_path), "test", types=None)
    assert data.info.classes == ("background", "nucleus")
    assert data[0].truth.need("categories").tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type_map": np.full(IDS.shape, 8.0)}, "holds the type 8, but 7 are named"),
        ({"type_map": np.zeros((3, 3))}, "the map of instances is"),
        ({"inst_map": np.full(IDS.shape, -1.0)}, "inst_map holds -1"),
    ],
)
def test_maps_that_do_not_fit_are_refused(change: dict[str, np.ndarray], said: str, tmp_path: Path) -> None:
    hovernet_tree.tree(tmp_path, "Test")
    for path in tmp_path.glob("Test/Labels/*.mat"):
        savemat(path, hovernet_tree.maps() | change)
    with pytest.raises(UserError, match=rf"\.mat: .*{said}"):
        HoverNet(str(tmp_path), "test")[0]


def test_a_nucleus_without_a_type_is_void(tmp_path: Path) -> None:
    hovernet_tree.tree(tmp_path, "Test")
    for path in tmp_path.glob("Test/Labels/*.mat"):
        savemat(path, hovernet_tree.maps() | {"type_map": np.where(IDS == 7, 0.0, TYPES)})
    truth = HoverNet(str(tmp_path), "test")[0].truth
    assert set(truth.need("semantic").numpy()[IDS == 7]) == {VOID}
    assert truth.need("categories").tolist() == [4, 7]


def pannuke(root: Path) -> Any:
    for split in pannuke_tree.SPLITS:
        pannuke_tree.tree(root, split)
    return root


def test_folds_of_pannuke_in_folders_of_their_own_are_found_and_recognised(tmp_path: Path) -> None:
    pannuke(tmp_path)
    for fold in (1, 2, 3):
        (tmp_path / f"Fold {fold}").rename(tmp_path / "a")
        (tmp_path / f"Fold {fold}").mkdir()
        (tmp_path / "a").rename(tmp_path / f"Fold {fold}/Fold {fold}")
    assert len(PanNuke(str(tmp_path), "test")) == 3
    with pytest.raises(UserError, match="this looks like PanNuke: type dataset=pannuke task=instance_center"):
        Folder(str(tmp_path))
    with pytest.raises(UserError, match=r"of fold4, only of fold1, fold2, fold3; .* by 'dataset\.splits="):
        PanNuke(str(tmp_path), splits={"train": "fold4"})


def test_layers_of_pannuke_are_instances_of_five_types(tmp_path: Path) -> None:
    data = PanNuke(str(pannuke(tmp_path)))
    assert data.info.classes == ("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial")
    assert len(data) == 3
    sample = data[1]
    assert sample.truth.need("categories").tolist() == [1, 1, 2, 5]
    assert sample.truth.need("areas").tolist() == [64, 32, 64, 64]  # the later type lies on top
    expected = np.zeros(pannuke_tree.SIZE, np.uint8)
    expected[2:10, 2:10] = expected[2:10, 16:24] = 1
    expected[6:14, 16:24], expected[20:28, 4:12] = 2, 5
    assert np.array_equal(sample.truth.need("semantic").numpy(), expected)
    stored = np.load(tmp_path / "Fold 1/images/fold1/images.npy")[1]
    assert torch.equal(sample.image, torch.from_numpy(stored.astype(np.uint8)).permute(2, 0, 1))
    assert data.identity(1) == (None, "fold1/0001")
    assert PanNuke(str(tmp_path), "test").identity(0) == (None, "fold3/0000")


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_arrays_of_another_form_are_refused(kind: str, tmp_path: Path) -> None:
    path = pannuke(tmp_path) / f"Fold 1/{kind}/fold1/{kind}.npy"
    np.save(path, np.zeros((3, 32, 32)))
    with pytest.raises(UserError, match=r"images\.npy: is float64 .* give arrays"):
        PanNuke(str(tmp_path))
    path.unlink()
    with pytest.raises(UserError, match=rf"holds no {kind}\.npy of fold1"):
        PanNuke(str(tmp_path))


@pytest.mark.parametrize(
    ("kind", "value"), [("images", 256.0), ("images", np.nan), ("images", 0.5), ("masks", 0.5), ("masks", -1.0)]
)
def test_values_of_another_kind_are_refused(kind: str, value: float, tmp_path: Path) -> None:
    path = pannuke(tmp_path) / f"Fold 1/{kind}/fold1/{kind}.npy"
    values = np.load(path)
    values[0, 0, 0, 0] = value
    np.save(path, values)
    with pytest.raises(UserError, match=rf"{kind}\.npy: image 0 holds"):
        PanNuke(str(tmp_path))[0]


def test_an_error_of_another_dataset_names_the_option(tmp_path: Path) -> None:
    pannuke(tmp_path / "a")
    hovernet_tree.tree(tmp_path / "b", "Train")
    for name, words in (("a", "pannuke"), ("b", "hovernet")):
        with pytest.raises(UserError, match=rf"; this looks like [^:]+: type dataset={words} task=instance_center$"):
            Folder(str(tmp_path / name))
