"""Decoding of outputs: other sizes, coarse maps, flips, limits of area, scores, NaN; and settings that are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from densepred.codec.panoptic import Panoptic
from densepred.errors import UserError
from densepred.ops.geometry.annotation import apply
from densepred.ops.geometry.warp import Warp, scaling
from densepred.ops.resize import resample
from densepred.types import VOID, Frame, Info, Sample
from tests.codec.scenes import COWS, INFO, lost, quality, scene, there_and_back


@pytest.mark.parametrize("size", [(30, 40), (120, 160), (90, 200), (47, 63)])
def test_predictions_of_a_resized_input_lie_on_the_original_image(size: tuple[int, int]) -> None:
    """The network saw the image at another size: sx and sy differ, and offsets are in pixels of what it saw."""
    truth = scene(
        (60, 80), (slice(5, 28), slice(4, 30), 2), (slice(5, 28), slice(30, 52), 2), (slice(35, 58), slice(50, 75), 3)
    )
    warp = Warp(scaling(truth.size, size), size)
    seen = apply(Sample(torch.zeros(3, 60, 80), truth, Frame("x", truth.size)), warp)
    (found,) = there_and_back(Panoptic(INFO, sigma=4.0), seen.truth, frame=seen.frame)
    assert found.size == (60, 80)
    assert quality(found, truth, INFO) > 0.85
    wrong = (found.instances > 0) != (truth.instances > 0)
    assert wrong.float().mean() < 0.03
    middle = found.instances[[16, 16, 46], [17, 41, 62]].tolist()
    assert sorted(middle) == [1, 2, 3]


@pytest.mark.parametrize("align_corners", [False, True])
def test_coarse_outputs_are_enlarged_with_offsets_as_they_are(align_corners: bool) -> None:
    truth = scene((64, 80), (slice(8, 32), slice(8, 40), 2), (slice(8, 32), slice(40, 72), 2))
    codec = Panoptic(INFO)
    targets = codec.perfect_outputs({name: value[None] for name, value in codec.encode(truth).items()})
    coarse = {name: resample.resize(value, (17, 21) if align_corners else (16, 20)) for name, value in targets.items()}
    (found,) = codec.decode(coarse, [Frame("x", truth.size)], align_corners)
    assert quality(found, truth, INFO) > 0.85


def test_a_flipped_scene_is_the_scene_after_unflip_and_a_scaled_one_has_shorter_offsets() -> None:
    codec = Panoptic(INFO)
    mirror = replace(COWS, semantic=COWS.semantic.flip(-1), instances=COWS.instances.flip(-1))
    straight, turned = (
        codec.perfect_outputs({name: value[None] for name, value in codec.encode(truth).items()})
        for truth in (COWS, mirror)
    )
    back = codec.unflip(turned)
    for name, value in straight.items():
        # Where a Gaussian ends may differ by a pixel: there it is this low.
        torch.testing.assert_close(back[name], value, atol=0.012 if name == "center" else 1e-4, rtol=0)
    scaled = codec.unscale(straight, 2.0)
    assert torch.equal(scaled["offset"], straight["offset"] / 2)
    assert torch.equal(scaled["center"], straight["center"])


def test_small_stuff_and_things_become_void() -> None:
    truth = replace(COWS, semantic=COWS.semantic.clone())
    truth.semantic[59, 70:] = 0  # ten pixels of sky
    (found,) = there_and_back(Panoptic(INFO, stuff_area=11, thing_area=2), truth)
    assert (found.semantic[59, 70:] == VOID).all()
    assert len(found.categories) == 3
    assert found.semantic[40, 60] == VOID
    (found,) = there_and_back(Panoptic(INFO, stuff_area=10 / 4800, thing_area=1), truth)
    assert (found.semantic[59, 70:] == 0).all()
    assert len(found.categories) == 4


def test_scores_are_the_mean_probability_the_heat_or_their_product() -> None:
    truth = scene((40, 50), (slice(10, 21), slice(20, 31), 2))
    encoded = {name: value[None] for name, value in Panoptic(INFO).encode(truth).items()}
    outputs = Panoptic(INFO).perfect_outputs(encoded)
    outputs["center"] = outputs["center"] * 0.5
    outputs["semantic"] = outputs["semantic"] / 20 * np.log(9)  # e / (e + 3) with e = 9
    scores = {}
    for score in ("semantic", "center", "product"):
        (found,) = Panoptic(INFO, score=score).decode(outputs, [Frame("x", truth.size)], align_corners=False)
        scores[score] = found.scores.item()
    assert scores["semantic"] == pytest.approx(9 / 12, abs=1e-5)
    assert scores["center"] == pytest.approx(0.5, abs=1e-5)
    assert scores["product"] == pytest.approx(9 / 24, abs=1e-5)


def test_without_stuff_there_are_instances_alone() -> None:
    (found,) = there_and_back(Panoptic(INFO, stuff=False), COWS)
    assert found.semantic is None
    assert lost(found, COWS) == 0


def test_probabilities_come_where_they_are_asked_for() -> None:
    codec = Panoptic(INFO)
    outputs = codec.perfect_outputs({name: value[None] for name, value in codec.encode(COWS).items()})
    (found,) = codec.decode(outputs, [Frame("x", COWS.size)], False, probabilities=True)
    assert found.probabilities is not None
    assert torch.equal(found.probabilities.argmax(0), COWS.semantic.long())


def test_noise_and_nan_are_decoded() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = {
        name: torch.randn(2, n, 20, 30, generator=generator) * 50
        for name, n in (("semantic", 4), ("center", 1), ("offset", 2))
    }
    for value in noise.values():
        value[1] = torch.nan
    for one in Panoptic(INFO).decode(noise, [Frame("a", (41, 59)), Frame("b", (20, 30))], align_corners=False):
        assert one.instances.max() == len(one.categories)
        assert (one.instances > 0).sum() == (
            torch.isin(one.semantic, torch.tensor([2, 3])) & (one.semantic != VOID)
        ).sum()


@pytest.mark.parametrize(
    ("info", "options", "message"),
    [
        (replace(INFO, things=()), {"stuff": False}, "task=semantic"),
        (Info(classes=("cell",), things=(0,)), {}, "dataset has one class;"),
        (INFO, {"sigma": 0}, r"task\.codec\.sigma"),
        (INFO, {"kernel": 4}, r"task\.codec\.kernel: 4; give an odd"),
        (INFO, {"max_detections": 0}, r"task\.codec\.max_detections"),
        (INFO, {"stuff_area": -1}, r"task\.codec\.stuff_area"),
        (INFO, {"threshold": 10}, r"task\.codec\.threshold: 10; give a number from 0 to 1"),
        (INFO, {"score": "centre"}, "did you mean center"),
    ],
)
def test_impossible_settings_are_refused_with_the_remedy(info: Info, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Panoptic(info, **options)


def test_a_crop_is_refused() -> None:
    codec = Panoptic(INFO)
    outputs = codec.perfect_outputs({name: value[None] for name, value in codec.encode(COWS).items()})
    with pytest.raises(UserError, match=r"transform\.valid"):
        codec.decode(outputs, [Frame("x", (90, 90), ((1.0, 0.0, 7.0), (0.0, 1.0, 0.0)))], align_corners=False)
