"""Ids and colours of masks that are of no class are refused with the file, whatever type the mask has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from densepred.dataset.labels import Labels
from densepred.errors import Misfit, UserError

MASK = Path("a.png")
GREY = Labels(("ground", "cell"), {0: 0, 1: 1})
COLOURED = Labels(("ground", "cell"), {0: 0, 1: 1}, {(0, 1, 0): 0, (255, 0, 0): 1})


@pytest.mark.parametrize("kind", [np.uint8, np.int32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_an_unknown_id_is_named_in_grey_saved_as_rgb_too(kind: type, channels: tuple[int, ...]) -> None:
    mask = np.zeros((4, 4, *channels), kind)
    mask[1:3] = 7
    with pytest.raises(Misfit, match=r"a\.png: the mask holds the id 7, but there are 2 classes") as error:
        GREY.encode(mask, MASK)
    assert error.value.values == (7,)
    mask[1:3] = 255
    with pytest.raises(Misfit, match=r"add 'dataset\.label_map=\{255: 1\}'"):
        GREY.encode(mask, MASK)
    assert GREY.encode(mask // 255, MASK)[:, 0].tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("value", [70000, -5])
def test_an_id_out_of_range_is_named_in_grey_saved_as_rgb_too(value: int) -> None:
    with pytest.raises(Misfit, match=f"holds the id {value}, .*; correct the mask"):
        GREY.encode(np.full((2, 2, 3), value, np.int32), MASK)


@pytest.mark.parametrize("colour", [(0, 0, 256), (0, 0, -1), (65535, 0, 0)])
def test_colours_above_8_bits_are_no_other_colour(colour: tuple[int, int, int]) -> None:
    """As one number, 65536 red + 256 green + blue, (0, 0, 256) is (0, 1, 0)."""
    mask = np.zeros((2, 2, 3), np.int32) + (255, 0, 0)
    assert COLOURED.encode(mask, MASK).tolist() == [[1, 1], [1, 1]]
    mask[1, 1] = colour
    with pytest.raises(UserError, match=rf"a\.png: holds the colour \({colour[0]}, {colour[1]}, {colour[2]}\)"):
        COLOURED.encode(mask, MASK)
