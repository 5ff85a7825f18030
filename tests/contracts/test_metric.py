"""What every metric of configs/metric must be, whatever it measures."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import yaml

from densepred.build.instantiate import build
from densepred.contracts import Metric
from densepred.types import Annotation, Info, UserError

FOLDER = Path(__file__).parents[2] / "configs" / "metric"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
INFO = Info(
    classes=("sky", "car"),
    things=(1,),
    keypoints=("neck", "head_top"),
    sigmas=(0.1, 0.2),
    provides=("semantic", "instances", "boxes", "keypoints"),
)


def made(name: str) -> Metric:
    (node,) = yaml.safe_load((FOLDER / f"{name}.yaml").read_text()).values()
    return build(node, None, "metric")(info=INFO)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_seen_keeps_every_name_that_may_judge_a_run_and_is_undefined(name: str) -> None:
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
def test_a_task_that_does_not_predict_what_is_judged_is_a_sentence(name: str) -> None:
    metric = made(name)
    with pytest.raises(UserError, match=rf"^metric={name} judges .*; choose another metric$"):
        metric.update([Annotation((4, 5))], [Annotation((4, 5))])
