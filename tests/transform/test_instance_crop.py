"""Crops of instances for top-down networks: where the box lands, and the random changes to it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Generator, Tensor

from densepred.errors import UserError
from densepred.jobs.parts import lower_body
from densepred.ops.geometry.warp import warp_points
from densepred.transform.flip import Flip
from densepred.transform.instance_crop import InstanceCrop
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, Sample

STILL = {"scale": 0.0, "rotate": 0.0, "half_body": 0.0}


def boxed(*box: float, keypoints: Tensor | None = None, size: tuple[int, int] = (120, 160)) -> Annotation:
    return Annotation(size, boxes=torch.tensor([box]), keypoints=keypoints)


def instance_params(crop: InstanceCrop, truth: Annotation, seed: int = 0, lower: tuple[int, ...] = ()):
    return crop.instance_params(truth, Generator().manual_seed(seed), lower)


def corners(warp) -> list[list[float]]:
    """Where the top left and bottom right edges of the picture lie in the image."""
    (a, b, c), (d, e, f) = warp.matrix
    height, width = warp.size
    return [[a * x + b * y + c, d * x + e * y + f] for x, y in ((-0.5, -0.5), (width - 0.5, height - 0.5))]


def test_the_edges_of_the_crop_are_those_of_the_padded_box() -> None:
    warp = instance_params(InstanceCrop((64, 48), **STILL), boxed(20.0, 30.0, 50.0, 70.0))
    assert warp.size == (64, 48)
    assert corners(warp)[0] == pytest.approx([35 - 0.5 * 30 * 1.25, 50 - 0.5 * 40 * 1.25])
    assert corners(warp)[1] == pytest.approx([35 + 0.5 * 30 * 1.25, 50 + 0.5 * 40 * 1.25])


@pytest.mark.parametrize("box", [(20.0, 30.0, 80.0, 40.0), (20.0, 30.0, 24.0, 90.0)])
def test_a_box_of_another_shape_grows_on_one_side(box: tuple[float, ...]) -> None:
    (x0, y0), (x1, y1) = corners(instance_params(InstanceCrop((64, 48), padding=1.0, **STILL), boxed(*box)))
    assert (x1 - x0) / (y1 - y0) == pytest.approx(0.75)
    assert min((x1 - x0) / (box[2] - box[0]), (y1 - y0) / (box[3] - box[1])) == pytest.approx(1)


def test_it_is_the_published_crop_in_the_frame_of_edges() -> None:
    """HRNet: x of 192 is (x - center) * 192 / (200 * scale) + 96, scale 1.25 times the box, grown to 3 : 4."""
    x0, y0, w, h = 31.2, 12.9, 57.0, 80.0  # as COCO's files have it: from the edge of the first pixel
    warp = instance_params(InstanceCrop(**STILL), boxed(x0 - 0.5, y0 - 0.5, x0 + w - 0.5, y0 + h - 0.5))
    width = 1.25 * max(w, 0.75 * h)
    for x, y in ((40.0, 50.0), (70.3, 20.1)):
        expected = [(x - x0 - w / 2) * 192 / width + 96, (y - y0 - h / 2) * 192 / width + 128]
        found = warp_points(torch.tensor([[x - 0.5, y - 0.5]], dtype=torch.float64), warp)[0] + 0.5
        assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("box", [(20.0, 30.0, 20.0, 30.0), (20.0, 30.0, 20.0, 31.0)])
def test_a_box_without_area_counts_as_a_pixel(box: tuple[float, ...]) -> None:
    (x0, y0), (x1, y1) = corners(instance_params(InstanceCrop((64, 64), padding=1.0, **STILL), boxed(*box)))
    assert [x1 - x0, y1 - y0] == pytest.approx([1, 1])


def test_rotations_and_scales_keep_the_center_and_stay_in_their_ranges() -> None:
    crop = InstanceCrop((64, 48), scale=0.35, rotate=45.0, rotate_p=0.6, half_body=0.0)
    angles, factors = [], []
    for seed in range(400):
        warp = instance_params(crop, boxed(20.0, 30.0, 50.0, 70.0), seed)
        (a, b, c), (d, e, f) = warp.matrix
        assert [a * 23.5 + b * 31.5 + c, d * 23.5 + e * 31.5 + f] == pytest.approx([35, 50])
        assert math.hypot(a, d) == pytest.approx(math.hypot(b, e))
        factors.append(math.hypot(a, d) / (30 * 1.25 / 48))
        angles.append(math.degrees(math.atan2(d, a)))
    assert min(factors) == pytest.approx(0.65)
    assert max(factors) == pytest.approx(1.35)
    assert max(map(abs, angles)) == pytest.approx(90)
    assert sum(angle == 0 for angle in angles) / 400 == pytest.approx(0.4, abs=0.08)


NAMES = ("nose", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_hip", "right_hip")
NAMES += ("left_knee", "right_knee", "left_ankle", "right_ankle")


def test_hips_and_what_is_below_them_are_the_lower_body() -> None:
    assert lower_body(NAMES) == (5, 6, 7, 8, 9, 10)
    assert lower_body(("wrist", "thumb")) == ()
    assert lower_body(("ankle", "left_big_toe")) == ()


@pytest.mark.parametrize(("upper", "rows"), [(1.0, slice(0, 5)), (0.0, slice(5, 11))])
def test_half_a_body_is_cropped_around_its_joints(upper: float, rows: slice) -> None:
    keypoints = torch.rand(1, 11, 3, generator=Generator().manual_seed(0)) * 50 + 20
    keypoints[..., 2] = 2
    truth = boxed(0.0, 0.0, 100.0, 100.0, keypoints=keypoints)
    settings = STILL | {"half_body": 1.0, "upper": upper}
    (x0, y0), (x1, y1) = corners(instance_params(InstanceCrop((64, 64), **settings), truth, lower=lower_body(NAMES)))
    points = keypoints[0, rows, :2]
    assert [(x0 + x1) / 2, (y0 + y1) / 2] == pytest.approx(points.mean(0).tolist(), abs=1e-4)
    assert x1 - x0 == pytest.approx(1.5 * float((points.amax(0) - points.amin(0)).max()), rel=1e-5)


def test_half_bodies_need_enough_joints_and_names_that_tell_them() -> None:
    keypoints = torch.full((1, 11, 3), 40.0)
    keypoints[..., 2] = 2
    keypoints[0, :3, 2] = 0  # eight are left: not more than eight
    truth = boxed(0.0, 0.0, 100.0, 100.0, keypoints=keypoints)
    whole = instance_params(InstanceCrop((64, 64), **STILL), truth)
    crop = InstanceCrop((64, 64), **(STILL | {"half_body": 1.0}))
    assert instance_params(crop, truth, lower=lower_body(NAMES)) == whole
    keypoints[0, :3, 2] = 2
    assert instance_params(crop, truth, lower=()) == whole
    assert instance_params(crop, truth, lower=lower_body(NAMES)) != whole


def test_crop_and_flip_are_one_warp_that_leads_back() -> None:
    image = torch.randint(0, 256, (3, 120, 160), dtype=torch.uint8, generator=Generator().manual_seed(1))
    keypoints = torch.tensor([[[30.0, 40, 2], [45.0, 66, 1], [150.0, 110, 2]]])
    truth = boxed(20.0, 30.0, 50.0, 70.0, keypoints=keypoints)
    pipeline = Pipeline([InstanceCrop((64, 48), scale=0.1), Flip(1.0)], mirrored=[(0, 1)])
    moved = pipeline(Sample(image, truth, Frame("a", (120, 160), instance=0)), Generator().manual_seed(3))
    assert moved.image.shape == (3, 64, 48)
    assert moved.frame.instance == 0
    assert moved.truth.keypoints is not None
    matrix = torch.tensor(moved.frame.matrix)
    back = moved.truth.keypoints[0, :2, :2] @ matrix[:, :2].T + matrix[:, 2]
    torch.testing.assert_close(back, keypoints[0, [1, 0], :2], atol=1e-3, rtol=0)
    assert moved.truth.keypoints[0, :, 2].tolist() == [1.0, 2.0, 0.0]  # the last is not in the picture
    assert float(torch.linalg.det(matrix[:, :2])) < 0


@pytest.mark.parametrize("flip", [Flip(1.0), Flip(0.0, 1.0)])
def test_keypoints_with_unknown_partners_are_not_mirrored(flip: Flip) -> None:
    image = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8, generator=Generator().manual_seed(1))
    keypoints = torch.tensor([[[30.0, 20, 2], [45.0, 6, 1]]])
    truth = boxed(20.0, 10.0, 50.0, 30.0, keypoints=keypoints, size=(40, 60))
    given = Sample(image, truth, Frame("a", (40, 60)))
    upright = Pipeline([Flip(1.0, 1.0)], None)(given, Generator())  # a rotation by 180 degrees mirrors nothing
    assert torch.equal(upright.image, image.flip(-1, -2))
    moved = Pipeline([flip], None)(given, Generator())
    assert torch.equal(moved.image, image if flip.horizontal else image.flip(-1, -2))
    alone = Sample(image, Annotation((40, 60)), Frame("a", (40, 60)))
    assert torch.equal(Pipeline([Flip(1.0)], None)(alone, Generator()).image, image.flip(-1))
    pipeline = Pipeline([InstanceCrop((64, 48), scale=0.1, half_body=0.0), flip], None)
    crop = pipeline(given, Generator().manual_seed(3))
    assert float(torch.linalg.det(torch.tensor(crop.frame.matrix)[:, :2])) > 0


def test_a_pipeline_without_it_is_refused_where_instances_are_seen() -> None:
    with pytest.raises(UserError, match=r"transform\.train: .*set transform=pose"):
        Pipeline([Flip()]).require_framing("train")
    Pipeline([InstanceCrop()]).require_framing("train")


@pytest.mark.parametrize("settings", [{"size": [64]}, {"padding": 0.0}, {"scale": 1.0}])
def test_settings_that_mean_nothing_are_refused(settings: dict) -> None:
    with pytest.raises(UserError, match="instance_crop"):
        InstanceCrop(**settings)
