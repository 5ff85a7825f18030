from __future__ import annotations

import torch
from torchvision.ops import box_area, clip_boxes_to_image

from densepred.ops.boxes.edges import areas, clip

BOXES = torch.tensor([[-7.0, -7.0, 70.0, 70.0], [3.25, 4.5, 9.0, 20.0], [50.0, 5.0, 60.0, 9.0], [1.0, 2.0, 1.0, 9.0]])


def test_areas_are_those_of_torchvision() -> None:
    assert torch.equal(areas(BOXES), box_area(BOXES))
    assert areas(BOXES[:0]).shape == (0,)


def test_boxes_are_clipped_half_a_pixel_beyond_the_pixels_of_an_image() -> None:
    """Edges of torchvision are 0 and the size, half a pixel away from ours."""
    assert clip(BOXES, (30, 40))[0].tolist() == [-0.5, -0.5, 39.5, 29.5]
    assert torch.equal(clip(BOXES, (30, 40)), clip_boxes_to_image(BOXES + 0.5, (30, 40)) - 0.5)
