"""`data.foreground`: the share of crops that are redrawn until they hold an object."""

from __future__ import annotations

import torch

from densepred.loader.samples import TrainingSamples, has_object, stack
from densepred.transform.crop import Crop
from densepred.transform.pipeline import Pipeline
from densepred.types import VOID, Annotation, Frame, Sample


class One:
    """200 images of class 0 with one square of class 1 in a corner; the last has none."""

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> Sample:
        semantic = torch.zeros(64, 64, dtype=torch.uint8)
        if index < 199:
            semantic[:16, :16] = 1
        return Sample(
            torch.zeros(1, 64, 64, dtype=torch.uint8), Annotation((64, 64), semantic=semantic), Frame("x", (64, 64))
        )


class Copy:
    required = ("semantic",)

    def corrupt(self, image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return image

    def encode(self, truth: Annotation) -> dict[str, torch.Tensor]:
        assert truth.semantic is not None
        return {"semantic": truth.semantic.long()}


def crops(foreground: float) -> list[torch.Tensor]:
    samples = TrainingSamples(One(), Pipeline([Crop((32, 32))]), Copy(), 3, False, foreground)  # type: ignore[arg-type]
    return [samples[(1, index)].targets["semantic"] for index in range(200)]  # pyright: ignore[reportOptionalSubscript]


def test_the_share_of_crops_with_an_object_is_the_one_asked_for() -> None:
    shares = [sum(bool((crop == 1).any()) for crop in crops(share)) / 200 for share in (0.0, 0.5, 1.0)]
    chance = (16 / 33) ** 2  # of a crop: its start is one of 33 per axis, and the first 16 meet the square
    expected = (chance, chance + (1 - chance) * 0.5, 1.0)
    assert all(abs(have - want) < 0.12 for have, want in zip(shares, expected, strict=True))  # 3 deviations of 200


def test_crops_are_a_function_of_seed_epoch_and_index() -> None:
    assert all(torch.equal(one, two) for one, two in zip(crops(0.7), crops(0.7), strict=True))


def test_what_counts_as_an_object() -> None:
    empty = torch.tensor([[0, VOID]], dtype=torch.uint8)
    assert not has_object(Annotation((1, 2), semantic=empty))
    assert has_object(Annotation((1, 2), semantic=torch.tensor([[0, 3]], dtype=torch.uint8)))
    assert not has_object(Annotation((1, 2), boxes=torch.zeros(0, 4)))
    assert has_object(Annotation((1, 2), boxes=torch.ones(1, 4)))


def test_a_crowd_alone_is_no_object() -> None:
    crowd, one = torch.tensor([True]), torch.tensor([[0, 1]], dtype=torch.int32)
    assert not has_object(Annotation((1, 2), boxes=torch.ones(1, 4), crowd=crowd))
    assert not has_object(Annotation((1, 2), instances=one, crowd=crowd))
    assert has_object(Annotation((1, 2), instances=one, crowd=~crowd))
    assert has_object(Annotation((1, 2), instances=torch.tensor([[1, 2]]), crowd=torch.tensor([True, False])))


def test_samples_that_hold_no_object_after_all_draws_are_counted() -> None:
    class Corner(One):
        def __getitem__(self, index: int) -> Sample:
            semantic = torch.zeros(64, 64, dtype=torch.uint8)
            semantic[0, 0] = 1
            image = torch.zeros(1, 64, 64, dtype=torch.uint8)
            return Sample(image, Annotation((64, 64), semantic=semantic), Frame("x", (64, 64)))

    samples = TrainingSamples(Corner(), Pipeline([Crop((8, 8))]), Copy(), 3, False, 1.0)  # type: ignore[arg-type]
    items = [samples[(0, index)] for index in range(50)]
    empty = sum(not item.targets["semantic"].any() for item in items if item.targets is not None)
    assert 0 < empty == stack(items).missed
