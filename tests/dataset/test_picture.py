"""Images as programs give them."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from densepred.dataset.picture import stored
from densepred.errors import Notice, UserError
from densepred.types import Info

RGB = Info(channels=3, mean=(0.5,) * 3, std=(0.2,) * 3)


def test_bytes_in_a_wider_type_have_a_notice() -> None:
    with pytest.warns(Notice, match="image: uint16 of at most 200, where white is 65535: nearly black; give bytes"):
        stored(np.full((20, 20, 3), 200, np.uint16), RGB)


@pytest.mark.filterwarnings("error::densepred.errors.Notice")
@pytest.mark.parametrize(("value", "kind"), [(200, np.int32), (4000, np.uint16), (0, np.uint16), (200, np.uint8)])
def test_other_arrays_have_none(value: int, kind: type) -> None:
    assert stored(np.full((20, 20, 3), value, kind), RGB).image.shape == (3, 20, 20)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (None, "image: NoneType; give a path or one image"),
        (np.zeros((0, 4, 3), np.uint8), r"image: has the shape \(0, 4, 3\), without a pixel"),
    ],
)
def test_what_is_no_image_is_refused(image: object, said: str) -> None:
    with pytest.raises(UserError, match=said):
        stored(cast(Any, image), RGB)
