"""The semantic codec there and back."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.codec.semantic import Semantic
from densepred.errors import UserError
from densepred.types import VOID, Annotation, Frame, Info

THREE = Info(classes=("a", "b", "c"))
TWO = Info(classes=("background", "cell"))


def drawn(classes: int, size: tuple[int, int], seed: int = 0) -> Annotation:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, size, generator=generator, dtype=torch.uint8)
    labels[0, 0] = VOID
    return Annotation(size, semantic=labels)


@pytest.mark.parametrize(("info", "sigmoid"), [(THREE, False), (TWO, False), (TWO, True)])
@pytest.mark.parametrize("size", [(37, 45), (1, 7), (64, 64)])
def test_decoding_perfect_outputs_gives_the_ground_truth_where_it_is_labelled(info, sigmoid, size) -> None:
    codec = Semantic(info, sigmoid)
    truths = [drawn(len(info.classes), size, seed) for seed in range(2)]
    encoded = [codec.encode(truth) for truth in truths]
    targets = {name: torch.stack([one[name] for one in encoded]) for name in encoded[0]}
    outputs = codec.perfect_outputs(targets)
    assert all(outputs[name].shape[1] == spec.channels for name, spec in codec.heads.items())
    found = codec.decode(outputs, [Frame("x", size)] * 2, align_corners=False)
    for truth, prediction in zip(truths, found, strict=True):
        known = truth.semantic != VOID
        assert torch.equal(prediction.semantic[known], truth.semantic[known])


def test_a_resized_input_is_decoded_on_the_grid_of_its_image() -> None:
    logits = torch.randn(1, 3, 5, 6)
    scale = (((60 / 24), 0.0, (60 / 24 - 1) / 2), (0.0, (50 / 20), (50 / 20 - 1) / 2))
    found = Semantic(THREE).decode({"semantic": logits}, [Frame("x", (50, 60), scale)], align_corners=False)[0]
    expected = F.interpolate(logits, (50, 60), mode="bilinear").argmax(1)[0]
    assert torch.equal(found.semantic.long(), expected)


def test_a_cropped_input_is_refused_with_the_remedy() -> None:
    cropped = Frame("x", (50, 60), ((1.0, 0.0, 7.0), (0.0, 1.0, 0.0)))
    with pytest.raises(UserError, match=r"leave crops and warps out of transform\.valid"):
        Semantic(THREE).decode({"semantic": torch.randn(1, 3, 5, 6)}, [cropped], align_corners=False)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_probabilities_sum_to_one_and_agree_with_the_labels(sigmoid: bool) -> None:
    codec = Semantic(TWO, sigmoid)
    logits = torch.randn(1, 1 if sigmoid else 2, 9, 11)
    found = codec.decode({"semantic": logits}, [Frame("x", (37, 45))], align_corners=True, probabilities=True)[0]
    assert found.probabilities.shape == (2, 37, 45)
    assert torch.allclose(found.probabilities.sum(0), torch.ones(37, 45), atol=1e-6)
    assert torch.equal(found.probabilities.argmax(0).to(torch.uint8), found.semantic)


def test_one_channel_needs_two_classes() -> None:
    with pytest.raises(UserError, match=r"task\.codec\.sigmoid=true is for background and one class"):
        Semantic(THREE, sigmoid=True)


def test_distances_come_on_demand_and_are_those_of_the_scene() -> None:
    truth = drawn(3, (9, 12))
    assert truth.semantic is not None
    codec = Semantic(THREE)
    assert set(codec.encode(truth)) == {"semantic"}
    codec.with_distance_maps("semantic")
    for asked in (codec, Semantic(THREE, distance=True)):
        targets = asked.encode(truth)
        assert torch.equal(targets["semantic"], truth.semantic)
        assert targets["semantic_distance"].shape == (3, 9, 12)
        for k in range(3):
            inside = targets["semantic_distance"][k] < 0
            assert torch.equal(inside, truth.semantic == k)
