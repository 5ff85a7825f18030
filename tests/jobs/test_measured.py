from __future__ import annotations

import numpy as np
import pytest
import torch

from densepred.dataset.shapes import Shapes
from densepred.jobs.measured import (
    Measured,
    extents,
    fcos_levels,
    grouping,
    kept,
    measure,
    panoptic,
    pose_crop,
    shares,
    zoom,
)
from densepred.transform.instance_crop import InstanceCrop
from densepred.types import Annotation, Info
from tests.conftest import composed


def of(*sides: tuple[float, float], most: int = 1) -> Measured:
    return Measured([(100, 100)], list(sides), most=most)


def test_a_sample_of_images_is_measured() -> None:
    data = Shapes(split="train", counts={"train": 40}, size=(48, 64))
    found = measure(data)
    counts = [data[i * 40 // 16].truth.count for i in range(16)]
    assert found.sizes == [(48, 64)] * 16
    assert (len(found.objects), found.most) == (sum(counts), max(counts))


def test_objects_have_the_size_of_their_box_or_of_their_pixels() -> None:
    ids = torch.zeros(9, 9, dtype=torch.int32)
    ids[1:4, 2:7], ids[6, 8] = 1, 2
    assert extents(Annotation((9, 9), instances=ids)) == [(3, 5), (1, 1)]
    boxes = torch.tensor([[0.0, 0, 4, 2], [1, 1, 1, 5], [0, 0, 9, 9]])
    assert extents(Annotation((9, 9), boxes=boxes, crowd=torch.tensor([False, False, True]))) == [(2, 4)]
    assert extents(Annotation((9, 9))) == []


@pytest.mark.parametrize(
    ("side", "sigma", "weight"), [(19.0, 4.8, 0.1), (2.0, 1.0, 0.1), (40.0, 8.0, 0.05), (1000.0, 8.0, 0.01)]
)
def test_centers_and_offsets_follow_the_size_of_the_objects(side: float, sigma: float, weight: float) -> None:
    found = {choice.key: choice.value for choice in grouping(of((side, 2 * side)), 200)}
    assert found == {"task.codec.sigma": sigma, "task.weights.offset": weight}


def test_the_least_area_of_stuff_exceeds_a_fifth_of_what_is_seen() -> None:
    def least(*areas: float) -> object:
        return panoptic(Measured([(9, 9)], [(40.0, 40.0)], list(areas)), 200)[-1].value

    assert least(0.9, 0.012, 0.0003, 0.4, 0.5) == 0.012
    assert least(0.0002, 0.0003, 0.4) == 0.001
    assert least(0.3, 0.4) == 0.02
    assert panoptic(of((40.0, 40.0)), 200) == grouping(of((40.0, 40.0)), 200)


def test_stuff_is_measured_by_its_share_of_the_image() -> None:
    labels = torch.tensor([[0, 0, 1, 255], [2, 2, 2, 0]])
    info = Info(classes=("sky", "road", "car"), things=(2,))
    assert shares(Annotation((2, 4), semantic=labels), info) == [3 / 8, 1 / 8]
    assert shares(Annotation((2, 4)), info) == []


def test_sizes_of_objects_are_those_of_the_scaled_images() -> None:
    nodes = composed("recipe=panoptic", "dataset.root=x", "transform.train.0.low=0.25", "transform.train.0.high=0.64")
    found = of((40.0, 90.0))
    found.zoom = zoom(nodes.transform.train)
    assert found.zoom == pytest.approx(0.4)
    sigma, weight = grouping(found, 200)
    assert (sigma.value, weight.value) == (4.0, 0.1)
    assert "of 1 object is 16 pixels at 0.40 of the size, as in training; a quarter" in sigma.reason
    assert [choice.value for choice in fcos_levels(found, 100)][1] == 4  # below 32 pixels
    assert zoom(composed("recipe=instances", "dataset.root=x").transform.train) == pytest.approx(1)  # 0.5 to 2


def test_the_limit_of_objects_is_raised_for_crowded_images() -> None:
    found = {choice.key: choice.value for choice in grouping(of((9.0, 9.0), most=150), 200)}
    assert found["task.codec.max_detections"] == 300
    assert fcos_levels(of((9.0, 9.0), most=51), 100)[-1].value == 102
    assert "max_detections" not in fcos_levels(of((9.0, 9.0), most=50), 100)[-1].key


def test_small_objects_need_a_level_at_stride_4() -> None:
    assert [choice.value for choice in fcos_levels(of((90.0, 31.0)), 100)] == [[4, 8, 16, 32, 64], 4, 1]
    assert [choice.value for choice in fcos_levels(of((32.0, 90.0)), 100)] == [[8, 16, 32, 64, 128], 8, 2]


def test_crops_of_instances_are_as_slim_as_their_boxes_allow() -> None:
    assert pose_crop(of((80.0, 40.0), (30.0, 15.0), (9.0, 4.0)), accelerator=True).value == [256, 128]
    assert pose_crop(of((40.0, 80.0)), accelerator=False).value == [96, 192]
    assert pose_crop(of((400.0, 1.0)), accelerator=False).value == [192, 32]
    assert pose_crop(of(*[(40.0, 80.0)] * 4, (80.0, 40.0)), accelerator=False).value == [96, 192]  # one of five
    turned = [(40.0, 80.0)] * 3 + [(80.0, 40.0)] * 2  # animals from above: two of five would be half as large
    assert pose_crop(of(*turned), accelerator=False).value == [128, 192]
    assert pose_crop(of((50.0, 52.0)), accelerator=False).value == [160, 192]
    assumed = pose_crop(Measured([(5, 5)]), accelerator=True)
    assert assumed.value == [256, 192]
    assert assumed.reason.startswith("no box in 1 measured image, so it is 4 : 3")


def test_boxes_in_a_crop_are_compared_with_a_square() -> None:
    rng = np.random.default_rng(0)
    boxes = rng.uniform(5, 90, (40, 2)).tolist()
    for shape in ((128, 96), (64, 256)):
        square, sizes = InstanceCrop((max(shape),) * 2), []
        for height, width in boxes:
            truth = Annotation((100, 100), boxes=torch.tensor([[0.0, 0, width, height]]))
            each = [crop._whole(truth).width / crop.size[1] for crop in (square, InstanceCrop(shape))]
            sizes.append(each[0] / each[1])
        assert kept(shape, boxes) == pytest.approx(np.mean(sizes), rel=1e-6)
