"""Panels: sizes, captions, legends."""

from __future__ import annotations

import torch

from densepred.draw import maps
from densepred.draw.comparison import class_legend, draw
from densepred.draw.panel import GAP, LARGEST, LINE, SIDE, classes, panel, with_legend
from densepred.types import VOID, Annotation, Info


def grey(height: int, width: int, value: int = 100) -> torch.Tensor:
    return torch.full((3, height, width), value, dtype=torch.uint8)


def test_small_pictures_are_enlarged_and_large_ones_reduced() -> None:
    small = panel([("a", grey(30, 40)), ("b", grey(30, 40, 7))])
    assert small.shape == (3, 270 + LINE, 2 * SIDE + GAP)
    assert (small[:, LINE:, :SIDE] == 100).all()
    assert (small[:, LINE:, SIDE + GAP :] == 7).all()
    assert panel([("a", grey(1000, 2000))]).shape == (3, LARGEST // 2 + LINE, LARGEST)
    assert panel([("a", grey(500, 400))]).shape == (3, 500 + LINE, 400)


def test_words_of_wide_panels_are_twice_as_large_where_they_fit() -> None:
    four = [("image", grey(360, 360))] * 4
    width = 4 * 360 + 3 * GAP
    assert panel(four, title="a.png").shape == (3, 360 + 4 * LINE, width)
    assert panel(four, [("sky", (1, 2, 3))]).shape == (3, 360 + 4 * LINE, width)
    assert panel(four, title="n" * 110).shape == (3, 360 + 2 * LINE, width)  # a title of twice the size would be cut
    assert panel([("c" * 40, grey(360, 360))] * 4).shape == (3, 360 + LINE, width)
    tall = panel(four[:1] * 4)[:, : 2 * LINE].amin(0).lt(128).any(1).sum()
    assert int(tall) > panel(four[:1])[:, :LINE].amin(0).lt(128).any(1).sum() * 1.6


def test_captions_are_written_and_control_characters_are_not() -> None:
    plain, named = panel([("", grey(400, 400))]), panel([("truth\x1b[2J", grey(400, 400))])
    assert (plain[:, :LINE] == 255).all()
    assert (named[:, :LINE] != 255).any()
    assert panel([("truth\\x1b[2J", grey(400, 400))]).equal(named)


def test_a_legend_has_a_swatch_per_entry_and_breaks_into_lines() -> None:
    entries = [(f"class number {i}", (i, 200, 3)) for i in range(9)]
    picture = with_legend(grey(360, 300), entries)
    assert picture[:, :360].equal(grey(360, 300))
    assert picture.shape[1] > 360 + LINE
    seen = {tuple(colour) for colour in picture[:, 360:].flatten(1).T.tolist()}
    assert {colour for _, colour in entries} <= seen
    assert with_legend(grey(5, 5), []).shape == (3, 5, 5)
    assert with_legend(grey(5, 9), entries[:1]).shape[-1] == SIDE


def test_only_visible_classes_are_listed_and_the_background_stays_clear() -> None:
    info = Info(classes=("background", "car", "dog"), palette=((50, 50, 50), (200, 0, 0), (0, 180, 0)))
    labels = torch.tensor([[0, 2], [VOID, 2]], dtype=torch.uint8)
    assert classes([labels], info.classes, info.palette) == [("background", (50, 50, 50)), ("dog", (0, 180, 0))]
    found = Annotation((2, 2), semantic=labels)
    assert class_legend(found, info) == [("dog", (0, 180, 0))]
    picture = draw(grey(2, 2), found, info)
    assert picture[:, 0, 0].tolist() == [100, 100, 100]
    assert picture[:, 0, 1].tolist() == [50, 140, 50]
    black = Info(classes=("sky", "car"), palette=((0, 0, 0), (1, 1, 1)))
    assert maps.backgrounds(black) == [0]
