"""Contract of every option of configs/metric."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from densepred.build.instantiate import build
from densepred.contracts import Metric
from densepred.types import Annotation, Info, UserError

FOLDER = Path(__file__).parents[2] / "configs" / "metric"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
FIELDS = ("semantic", "instances", "boxes", "keypoints")
INFO = Info(
    classes=("sky", "car"),
    things=(1,),
    keypoints=("neck", "head_top"),
    sigmas=(0.1, 0.2),
    provides=FIELDS,
)


def made(name: str) -> Metric:
    (node,) = yaml.safe_load((FOLDER / f"{name}.yaml").read_text()).values()
    return build(node, None, "metric")(info=INFO)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_seen_keeps_every_name_that_can_select_a_checkpoint_and_is_undefined(name: str) -> None:
    metric = made(name)
    found = metric.compute()
    assert {found[key] for key in metric.mode} == {None}
    assert set(metric.mode.values()) <= {"max", "min"}


@pytest.mark.parametrize("name", NAMES)
def test_parts_of_nothing_that_went_between_processes_are_nothing(name: str) -> None:
    metric = made(name)
    metric.merge(pickle.loads(pickle.dumps(made(name))))
    assert metric.compute() == made(name).compute()


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_the_task_does_not_predict_is_a_sentence(name: str) -> None:
    metric = made(name)
    with pytest.raises(UserError, match=rf"^metric={name} needs .*; choose another metric$"):
        metric.update([Annotation((4, 5))], [Annotation((4, 5))])


@pytest.mark.parametrize("name", NAMES)
def test_a_field_that_the_dataset_does_not_label_is_a_sentence(name: str) -> None:
    metric = made(name)
    metric.check(INFO)
    (first, *_) = metric.requires
    alternatives = {first} if isinstance(first, str) else {*first}
    wanted = rf"^metric={name} needs .*, which this dataset does not label; choose another metric$"
    truth = Annotation((4, 5))
    prediction = Annotation((4, 5), **{field: torch.zeros(1) for names in metric.requires for field in _names(names)})
    with pytest.raises(UserError, match=wanted):
        metric.update([prediction], [truth])
    if "image" not in alternatives:  # every sample has one
        with pytest.raises(UserError, match=wanted):
            metric.check(replace(INFO, provides=tuple({*FIELDS} - alternatives)))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_of_an_image_is_smaller_than_its_class_map(name: str) -> None:
    """Otherwise an evaluation of a large dataset runs out of memory."""
    metric, sizes, image = made(name), list[int](), labelled()
    for _ in range(4):
        metric.update([image], [image])
        sizes.append(len(pickle.dumps(metric)))
    assert image.semantic is not None
    assert (sizes[3] - sizes[1]) / 2 < image.semantic.numel() / 4


def labelled() -> Annotation:
    """One image with two objects of 24 x 32 pixels, in all forms that metrics read."""
    semantic, instances = torch.zeros(96, 128, dtype=torch.uint8), torch.zeros(96, 128, dtype=torch.int64)
    for number, left in enumerate((10, 70), 1):
        instances[30:54, left : left + 32], semantic[30:54, left : left + 32] = number, 1
    boxes = torch.tensor([[9.5, 29.5, 41.5, 53.5], [69.5, 29.5, 101.5, 53.5]])
    points = torch.tensor([[[20.0, 40.0, 1.0], [25.0, 35.0, 1.0]], [[80.0, 40.0, 1.0], [85.0, 35.0, 1.0]]])
    return Annotation(
        (96, 128),
        image=torch.rand(3, 96, 128),
        semantic=semantic,
        instances=instances,
        boxes=boxes,
        keypoints=points,
        categories=torch.ones(2, dtype=torch.int64),
        scores=torch.tensor([0.9, 0.8]),
        probabilities=torch.stack((1.0 - semantic.float(), semantic.float())),
    )


def _names(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


class Pixels(Metric):
    """All that a metric of a user needs."""

    requires = ("semantic", ("boxes", "instances"))
    mode = {"pixels": "max"}

    def __init__(self, info: Info) -> None:
        self.total = torch.zeros(1)

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        self.total += prediction.need("semantic").numel()

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Pixels)
        self.total += other.total

    def compute(self) -> dict[str, float | None]:
        return {"pixels": self.total.item()}


def test_every_pair_of_a_batch_is_added_and_one_of_several_fields_is_enough() -> None:
    metric = Pixels(INFO)
    whole = Annotation((2, 3), semantic=torch.zeros(2, 3), instances=torch.zeros(2, 3))
    metric.update([whole, whole], [whole, replace(whole, instances=None, boxes=torch.zeros(0, 4))])
    assert metric.compute() == {"pixels": 12}
    with pytest.raises(UserError, match="metric=test_metric needs boxes, which this task does not predict"):
        metric.update([replace(whole, instances=None)], [whole])
    with pytest.raises(ValueError, match="shorter"):
        metric.update([whole, whole], [whole])


def test_tensors_of_a_metric_travel_by_the_cpu() -> None:
    metric = Pixels(INFO)
    metric.total = torch.zeros(1, device="meta")  # stands for another device, which has no copy on the CPU
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        pickle.dumps(metric)
