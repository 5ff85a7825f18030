"""Class weights by median frequency: the formula, and where they are set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.folder import Folder
from densepred.dataset.shapes import Shapes
from densepred.jobs.class_weights import class_counts, median_frequency, resolve_class_weights, rounded

CAMVID = Path(__file__).parents[3] / "shared" / "data" / "camvid"


def test_weights_follow_from_the_images_that_hold_a_class() -> None:
    counts = torch.tensor([[60, 40, 0], [100, 0, 0], [50, 0, 50]])
    weights = median_frequency(counts)
    frequency = [210 / 300, 40 / 100, 50 / 100]
    torch.testing.assert_close(weights, torch.tensor([0.5 / f for f in frequency], dtype=torch.float64))


def test_images_of_unequal_size_count_by_their_pixels() -> None:
    """The second class lies in the small image alone, the third in the large one."""
    counts = torch.tensor([[300, 0, 100], [15, 5, 0]])
    frequency = [315 / 420, 5 / 20, 100 / 400]
    wanted = torch.tensor([0.25 / f for f in frequency], dtype=torch.float64)
    torch.testing.assert_close(median_frequency(counts), wanted)
    frequency = [315 / 540, 5 / 40, 100 / 500]
    wanted = torch.tensor([0.2 / f for f in frequency], dtype=torch.float64)
    torch.testing.assert_close(median_frequency(counts, torch.tensor([500, 40])), wanted)


def test_pixels_without_a_class_belong_to_the_image() -> None:
    counts, pixels = torch.tensor([[60, 40], [100, 0]]), torch.tensor([200, 200])
    frequency = [160 / 400, 40 / 200]
    median = sum(frequency) / 2
    wanted = torch.tensor([median / f for f in frequency], dtype=torch.float64)
    torch.testing.assert_close(median_frequency(counts, pixels), wanted)


def test_a_class_that_never_occurs_has_weight_zero() -> None:
    assert median_frequency(torch.tensor([[60, 0, 60]])).tolist() == [1, 0, 1]
    assert median_frequency(torch.zeros(2, 3)).tolist() == [0, 0, 0]


@pytest.mark.skipif(not CAMVID.exists(), reason="../shared/data/camvid is not here")
def test_camvid_has_the_weights_that_its_description_gives() -> None:
    facts = json.loads((CAMVID / "classes.json").read_text())
    masks = [np.asarray(Image.open(path)) for path in sorted((CAMVID / "masks" / "train").iterdir())]
    counts = torch.tensor(np.stack([np.bincount(mask.ravel(), minlength=12)[:11] for mask in masks]))
    weights = median_frequency(counts, torch.tensor([mask.size for mask in masks]))
    assert weights.numpy() == pytest.approx(facts["median_frequency_weights"], abs=1e-4)


def test_median_frequency_becomes_numbers_wherever_it_stands() -> None:
    train = Shapes("train", size=(24, 32), counts={"train": 6, "valid": 1, "test": 1})
    node = {"losses": {"semantic": {"_target_": "x.Y", "class_weights": "median_frequency", "gamma": 2.0}}}
    found, weights = resolve_class_weights(node, train)
    assert weights is not None
    assert found["losses"]["semantic"] == {"_target_": "x.Y", "class_weights": weights, "gamma": 2.0}
    assert node["losses"]["semantic"]["class_weights"] == "median_frequency"
    counts, pixels = class_counts(train)
    frequencies = [(counts[:, k].sum() / pixels[counts[:, k] > 0].sum()).item() for k in range(8) if counts[:, k].any()]
    median = torch.tensor(frequencies, dtype=torch.float64).quantile(0.5).item()
    present = [weight for weight in weights if weight > 0]
    assert present == pytest.approx([median / frequency for frequency in frequencies], rel=1e-5)


def test_given_weights_stay_and_the_images_are_not_read() -> None:
    node = {"losses": {"semantic": {"class_weights": [1.0, 2.0]}}}
    assert resolve_class_weights(node, train=None) == (node, None)  # type: ignore[arg-type]


@pytest.mark.slow
def test_the_weights_of_camvid_are_the_published_ones() -> None:
    if not CAMVID.is_dir():
        pytest.skip("needs the images of camvid in ../shared/data")
    names = {"ignore_index": 11}
    train = Folder(str(CAMVID), split="train", splits={"train": "train", "valid": "val", "test": "test"}, **names)
    _, weights = resolve_class_weights({"class_weights": "median_frequency"}, train)
    published = json.loads((CAMVID / "classes.json").read_text())["median_frequency_weights"]
    assert weights == pytest.approx(published, abs=2e-4)


def test_rounding_leaves_no_class_without_a_weight() -> None:
    counts = torch.tensor([[10**9, 3, 4]])
    weights = [rounded(weight) for weight in median_frequency(counts).tolist()]
    assert weights == pytest.approx([4e-9, 4 / 3, 1], rel=2e-6)
    assert rounded(1.23456789) == 1.234568
    assert rounded(0.0) == 0
