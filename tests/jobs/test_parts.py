"""From a configuration to parts: class weights, and what a checkpoint stores of a node."""

from __future__ import annotations

import json

import pytest
import torch

from densepred.dataset.folder import Folder
from densepred.dataset.shapes import Shapes
from densepred.jobs import parts
from tests.conftest import REPOSITORY

CAMVID = REPOSITORY / ".." / "shared" / "data" / "camvid"


def test_median_frequency_becomes_numbers_wherever_it_stands() -> None:
    train = Shapes("train", size=(24, 32), counts={"train": 6, "valid": 1, "test": 1})
    node = {"losses": {"semantic": {"_target_": "x.Y", "class_weights": "median_frequency", "gamma": 2.0}}}
    found, weights = parts.resolve_class_weights(node, train)
    assert weights is not None
    assert found["losses"]["semantic"] == {"_target_": "x.Y", "class_weights": weights, "gamma": 2.0}
    assert node["losses"]["semantic"]["class_weights"] == "median_frequency"
    counts, pixels = parts.class_counts(train)
    frequencies = [(counts[:, k].sum() / pixels[counts[:, k] > 0].sum()).item() for k in range(8) if counts[:, k].any()]
    middle = torch.tensor(frequencies, dtype=torch.float64).quantile(0.5).item()
    present = [weight for weight in weights if weight > 0]
    assert present == pytest.approx([middle / frequency for frequency in frequencies], rel=1e-5)


def test_given_weights_stay_and_the_images_are_not_read() -> None:
    node = {"losses": {"semantic": {"class_weights": [1.0, 2.0]}}}
    assert parts.resolve_class_weights(node, train=None) == (node, None)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_weights_of_camvid_are_the_published_ones() -> None:
    if not CAMVID.is_dir():
        pytest.skip("needs the images of camvid in ../shared/data")
    names = {"ignore_index": 11}
    train = Folder(str(CAMVID), split="train", splits={"train": "train", "valid": "val", "test": "test"}, **names)
    _, weights = parts.resolve_class_weights({"class_weights": "median_frequency"}, train)
    published = json.loads((CAMVID / "classes.json").read_text())["median_frequency_weights"]
    assert weights == pytest.approx(published, abs=2e-4)


def test_a_stored_node_downloads_nothing() -> None:
    node = {"encoder": {"name": "x", "pretrained": True}, "list": [{"pretrained": True}], "n": 1}
    assert parts.stored(node) == {
        "encoder": {"name": "x", "pretrained": False},
        "list": [{"pretrained": False}],
        "n": 1,
    }
    assert node["encoder"]["pretrained"] is True
