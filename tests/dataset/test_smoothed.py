"""Masks that were smoothed or have another size than their image are named for what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densepred.dataset import smoothed
from densepred.dataset.folder import Folder
from densepred.types import UserError
from tests.dataset.files import picture, write

SIZE = (60, 80)


def disc(value: int = 255) -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return (((y - 30) ** 2 + (x - 40) ** 2 < 400) * value).astype(np.uint8)


def enlarged(mask: np.ndarray) -> np.ndarray:
    """Return the mask after an enlargement that interpolates, as image programs do."""
    small = Image.fromarray(mask).resize((SIZE[1] // 2, SIZE[0] // 2), Image.Resampling.NEAREST)
    return np.array(small.resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR))


def tree(root: Path, mask: np.ndarray) -> str:
    write(root / "images/train/a.png", picture(SIZE))
    write(root / "masks/train/a.png", mask)
    return str(root)


@pytest.mark.parametrize("more", [{}, {"label_map": {255: 1}, "classes": 2}], ids=["counted", "named"])
def test_an_anti_aliased_mask_is_called_so(more: dict[str, object], tmp_path: Path) -> None:
    root = tree(tmp_path, enlarged(disc()))
    with pytest.raises(UserError, match=r"a\.png: the mask is anti-aliased: 0 and 255 are labels.*nearest neighbour"):
        Folder(root, **more)[0]  # type: ignore[arg-type]


def test_an_anti_aliased_mask_of_colours_is_called_so(tmp_path: Path) -> None:
    colours = np.stack([enlarged(disc(200)), enlarged(disc(90)), 50 + 0 * disc()], -1).astype(np.uint8)
    root = tree(tmp_path, colours)
    with pytest.raises(UserError, match=r"anti-aliased: \d+ colours of no class, such as"):
        Folder(root, classes=["a", "b"], palette=[[0, 0, 50], [200, 90, 50]])[0]


def test_maps_of_classes_are_not_taken_for_smoothed_ones() -> None:
    _, x = np.mgrid[: SIZE[0], : SIZE[1]]
    assert smoothed.in_between(disc()) == []
    assert smoothed.in_between((x // 8).astype(np.uint8)) == []  # ten stripes
    assert smoothed.in_between((x % 10).astype(np.uint8)) == []
    several = disc()
    several[:10] = 7, *[9] * 79  # regions of further ids away from the edge
    several[50:, 40:] = 11
    several[0] = 5
    assert smoothed.in_between(several) == []
    assert len(smoothed.in_between(enlarged(disc()))) >= 2


def test_a_stray_colour_is_no_smoothing(tmp_path: Path) -> None:
    colours = np.array([[0, 0, 50], [200, 90, 50]], np.uint8)[disc(1)]
    colours[0, :3] = (7, 8, 9)
    with pytest.raises(UserError, match=r"the colour \(7, 8, 9\) at x=0 y=0 \(3 pixels\) is of no class"):
        Folder(tree(tmp_path, colours), classes=["a", "b"], palette=[[0, 0, 50], [200, 90, 50]])[0]


@pytest.mark.parametrize(
    ("size", "text"), [((30, 40), r"1/2 of the image.*2 times"), ((20, 27), "1/3"), ((50, 80), "make them equal")]
)
def test_masks_at_a_fraction_of_the_size_are_called_so(size: tuple[int, int], text: str, tmp_path: Path) -> None:
    root = tree(tmp_path, disc()[: size[0], : size[1]] // 255)
    with pytest.raises(UserError, match=text):
        Folder(root, classes=2)[0]
