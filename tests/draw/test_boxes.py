"""Captions of many boxes: the same places as by comparing each pair of captions."""

import torch

from densepred.draw import boxes as drawing


class EachPair(list[drawing.Box]):
    """Places compared one by one."""

    def __init__(self, most: int) -> None:
        super().__init__()

    add = list.append

    def meet(self, place: drawing.Box) -> bool:
        x0, y0, x1, y1 = place
        return any(x0 <= right and left <= x1 and y0 <= bottom and top <= y1 for left, top, right, bottom in self)


def test_captions_stand_where_a_comparison_of_each_pair_puts_them(monkeypatch):
    draws = torch.Generator().manual_seed(0)
    start = torch.rand(150, 2, generator=draws) * torch.tensor([180.0, 120.0])  # crowded: many captions move
    corners = torch.cat([start, start + 5 + 20 * torch.rand(150, 2, generator=draws)], 1)
    colours, texts = [(i, 255 - i, 90) for i in range(150)], [f"cell {i}" if i % 7 else "" for i in range(150)]
    picture = torch.zeros(3, 140, 220, dtype=torch.uint8)
    found = drawing.boxes(picture, corners, colours, texts)
    monkeypatch.setattr(drawing, "_Places", EachPair)
    assert torch.equal(found, drawing.boxes(picture, corners, colours, texts))


def test_captions_that_touch_meet():
    taken = drawing._Places(1)
    assert not taken.meet((0, 0, 1, 1))  # nothing yet
    taken.add((0, 0, 10, 5))
    assert taken.meet((10, 5, 12, 7))
    assert taken.meet((2, 1, 3, 2))
    assert not taken.meet((10.5, 0, 12, 5))
    assert not taken.meet((0, 5.5, 10, 7))
