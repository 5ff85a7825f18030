from __future__ import annotations

import pytest
import torch

from densepred.errors import UserError
from densepred.ops.boxes.to_image import boxes_in_image
from densepred.ops.geometry.annotation import NOWHERE
from densepred.ops.geometry.warp import scaling
from densepred.types import Frame


def test_boxes_of_a_resized_input_come_back_to_the_image_and_are_clipped() -> None:
    frame = Frame("a", (100, 300), scaling((100, 300), (50, 60)), input_size=(50, 60))
    boxes = torch.tensor([[-0.5, -0.5, 59.5, 49.5], [9.5, 9.5, 19.5, 19.5], [-9.0, 20.0, 90.0, 70.0]])
    found = boxes_in_image(boxes, frame)
    want = [[-0.5, -0.5, 299.5, 99.5], [49.5, 19.5, 99.5, 39.5], [-0.5, 40.5, 299.5, 99.5]]
    torch.testing.assert_close(found, torch.tensor(want))


def test_a_mirrored_or_turned_input_gives_the_upright_box_around() -> None:
    mirrored = Frame("a", (20, 10), ((-1.0, 0.0, 9.0), (0.0, 1.0, 0.0)))
    assert boxes_in_image(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), mirrored).tolist() == [[7, 1, 9, 3]]
    turned = Frame("a", (20, 20), ((0.0, -1.0, 9.0), (1.0, 0.0, 0.0)))
    assert boxes_in_image(torch.tensor([[1.0, 2.0, 4.0, 6.0]]), turned).tolist() == [[3, 1, 7, 4]]
    assert boxes_in_image(torch.zeros(0, 4), mirrored).shape == (0, 4)


def test_what_no_matrix_takes_back_is_refused() -> None:
    with pytest.raises(UserError, match=r"b: boxes cannot be mapped back.*transform\.valid"):
        boxes_in_image(torch.zeros(1, 4), Frame("b", (9, 9), NOWHERE))
