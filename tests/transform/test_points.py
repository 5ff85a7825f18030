"""Every geometric transform moves points, boxes and maps as it moves the image."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from torch import Generator

from densepred.transform.affine import Affine
from densepred.transform.crop import Crop
from densepred.transform.elastic import Elastic
from densepred.transform.flip import Flip
from densepred.transform.grid import Grid
from densepred.transform.instance_crop import InstanceCrop
from densepred.transform.pipeline import Pipeline
from densepred.transform.resize import Resize
from densepred.transform.scale import Scale
from densepred.types import Annotation, Frame, Sample

SIZE = (40, 60)
POINTS = torch.tensor([[22.0, 13.0], [31.0, 24.0], [27.0, 18.0]])
EVERY = (
    Grid(p=1.0),
    Elastic(p=1.0, sigma=2.0),
    Affine(rotate=30.0, shear=10.0, low=0.8, high=1.2, shift=0.1),
    Crop((33, 50), 0.7, 1.4),
    Scale(0.6, 1.7),
    Resize((31, 77)),
    Flip(1.0, 1.0),
    Flip(1.0, 0.0),
    InstanceCrop((48, 36), half_body=0.0),
)


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
def test_points_and_maps_move_with_the_image(transform: object) -> None:
    """The image holds its own coordinates, so its values at a moved point tell where the point was."""
    ys, xs = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    visible = torch.full((3, 1), 2.0)
    moved = 0.0
    for seed in range(5):
        truth = Annotation(
            SIZE,
            semantic=xs.to(torch.uint8),
            keypoints=torch.cat((POINTS, visible), 1)[None],
            boxes=torch.tensor([[12.0, 6.0, 44.0, 33.0]]),
        )
        sample = Sample(torch.stack((xs, ys)) / 64, truth, Frame("x", SIZE))
        out = Pipeline([transform])(sample, Generator().manual_seed(seed))  # type: ignore[list-item]
        image = (out.image * 64).numpy()
        for point, old in zip(out.truth.need("keypoints")[0], POINTS, strict=True):
            if point[2] > 0:
                found = [float(ndimage.map_coordinates(layer, [[point[1]], [point[0]]], order=1)[0]) for layer in image]
                assert found == pytest.approx(old.tolist(), abs=0.05)
                moved = max(moved, float((point[:2] - old).abs().max()))
        labels = out.truth.need("semantic").float()
        inside = torch.nn.functional.max_pool2d((labels == 255).float()[None], 3, 1, 1)[0] == 0
        assert (labels - out.image[0] * 64).abs()[inside].max() < 0.51
    assert moved > 1
