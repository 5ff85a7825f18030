"""Kinds of errors of class maps, against a loop over pixels."""

from __future__ import annotations

import math

import torch

from densepred.draw import mistakes
from densepred.draw.mistakes import BOUNDARY, CONFUSED, MISSED, RIGHT, SPURIOUS, UNKNOWN
from densepred.types import VOID, Info

INFO = Info(classes=("background", "car", "dog"), palette=((0, 0, 0), (200, 0, 0), (0, 180, 0)))
STREET = Info(classes=("road", "car", "dog"), palette=((9, 0, 0), (200, 0, 0), (0, 180, 0)))


def slow(prediction: torch.Tensor, truth: torch.Tensor, width: int) -> list[list[int]]:
    """The definition, pixel by pixel, for class 0 as the background."""
    height, across = truth.shape
    found = []
    for y in range(height):
        row = []
        for x in range(across):
            p, t = int(prediction[y, x]), int(truth[y, x])
            here = (slice(max(0, y - width), y + width + 1), slice(max(0, x - width), x + width + 1))
            if t == VOID:
                row.append(UNKNOWN)
            elif p == t:
                row.append(RIGHT)
            elif p in truth[here] and t in prediction[here]:
                row.append(BOUNDARY)
            else:
                row.append(CONFUSED if p and t else SPURIOUS if p else MISSED)
        found.append(row)
    return found


def test_kinds_are_those_of_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    for height, across in ((17, 23), (40, 300)):
        coarse = torch.randint(0, 3, (2, 1, 4, 5), generator=generator).float()
        both = torch.nn.functional.interpolate(coarse, (height, across), mode="nearest")[:, 0].to(torch.uint8)
        prediction, truth = both[0], both[1].clone()
        truth[:2] = VOID
        width = max(1, round(0.005 * math.hypot(height, across)))
        assert mistakes.kinds(prediction, truth, INFO).tolist() == slow(prediction, truth, width)


def test_a_shifted_object_is_a_boundary_error_and_a_lost_one_is_missed() -> None:
    truth = torch.zeros(20, 30, dtype=torch.uint8)
    truth[5:15, 5:15] = 1
    shifted = truth.roll(1, 1)
    found = mistakes.kinds(shifted, truth, INFO)
    assert (found == BOUNDARY).sum() == 20
    assert (found == RIGHT).sum() == 580
    lost = mistakes.kinds(torch.zeros_like(truth), truth, INFO)
    assert (lost == MISSED).sum() == 100
    assert (mistakes.kinds(truth, torch.zeros_like(truth), INFO) == SPURIOUS).sum() == 100


def test_without_a_background_classes_are_confused() -> None:
    truth, prediction = torch.zeros(9, 9, dtype=torch.uint8), torch.ones(9, 9, dtype=torch.uint8)
    texts = [text for text, _ in mistakes.legend(mistakes.kinds(prediction, truth, STREET), prediction, truth, STREET)]
    assert texts == ["boundary 0.0%", "confused 100.0%, mostly road as car"]
    assert (mistakes.kinds(prediction, truth, STREET) == CONFUSED).all()
    things = Info(classes=STREET.classes, palette=STREET.palette, things=(1, 2))
    assert (mistakes.kinds(prediction, truth, things) == SPURIOUS).all()


def test_the_legend_has_shares_and_the_pair_that_is_confused_most() -> None:
    truth = torch.ones(10, 10, dtype=torch.uint8)
    truth[9] = VOID
    prediction = torch.full((10, 10), 2, dtype=torch.uint8)
    found = mistakes.kinds(prediction, truth, INFO)
    texts = [text for text, _ in mistakes.legend(found, prediction, truth, INFO)]
    assert texts == ["missed 0.0%", "spurious 0.0%", "boundary 0.0%", "confused 100.0%, mostly car as dog"]
    picture = mistakes.draw(torch.full((3, 10, 10), 100, dtype=torch.uint8), found)
    assert picture[:, 0, 0].tolist() == [204, 121, 167]
    assert picture[:, 9, 0].tolist() == [30, 30, 30]
