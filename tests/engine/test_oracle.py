"""Heads replaced by the ground truth: the gain, and the head to improve first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.cli import compose
from densepred.codec.semantic import Semantic
from densepred.engine.oracle import Oracle, variants
from densepred.errors import UserError
from densepred.jobs import evaluation
from densepred.loss.ce import CrossEntropy
from densepred.metric.confusion import Confusion
from densepred.task import Task
from densepred.types import Annotation, Batch, Frame, HeadSpec, Info
from tests import running
from tests.conftest import composed

INFO = Info(classes=("a", "b", "c"))


class Halves(Semantic):
    """Two heads, each of which predicts one half of the image."""

    def __init__(self, info: Info) -> None:
        super().__init__(info)
        self.heads = {name: HeadSpec(3, kind="classes") for name in ("left", "right")}

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        assert truth.semantic is not None
        return {"left": truth.semantic, "right": truth.semantic}

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: F.one_hot(targets[name].long(), 3).movedim(-1, 1).float() for name in self.heads}

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        width = outputs["left"].shape[-1] // 4
        joined = torch.cat([outputs["left"][..., :width], outputs["right"][..., width:]], -1)
        return super().decode({"semantic": joined}, frames, align_corners, probabilities)


def halves() -> Task:
    losses = {"left": CrossEntropy(), "right": CrossEntropy()}
    return Task(INFO, Halves, losses, metrics={"confusion": Confusion}, monitor="pixel_accuracy")


def pass_of(task: Task, wanted: object) -> Oracle:
    """Evaluate a network that always predicts "a" on images of "b"."""
    oracle = Oracle(task, wanted, align_corners=False)
    own = task.new_metrics()
    for index in range(2):
        truth = Annotation((6, 8), semantic=torch.ones(6, 8, dtype=torch.uint8))
        targets = {name: value[None] for name, value in task.codec.encode(truth).items()}
        batch = Batch(torch.zeros(1, 3, 6, 8), targets, [Frame(str(index), (6, 8))], [truth])
        logits = torch.zeros(1, 3, 6, 8)
        logits[:, 0] = 1
        outputs = {name: [logits] for name in task.heads}
        found = task.decode(outputs, batch.frames)
        own["confusion"].update(found, batch.truths)
        oracle(batch, found, outputs)
    oracle.finish({**own["confusion"].compute(), "loss/total": 1.0})
    return oracle


def test_a_ladder_names_the_head_with_the_largest_gain() -> None:
    oracle = pass_of(halves(), "ladder")
    accuracy = {name: values["pixel_accuracy"] for name, values in oracle.values.items()}
    assert accuracy == {"none": 0.0, "left": 0.25, "right": 0.75, "all": 1.0}
    assert oracle.advice() == "improve right first: with its ground truth pixel_accuracy goes from 0.0000 to 0.7500"
    assert "loss/total" not in oracle.facts()["metrics"]["none"]
    lines = oracle.report().splitlines()
    assert lines[0].split()[:4] == ["ground", "truth", "for", "pixel_accuracy"]
    assert [line.split()[:2] for line in lines[2:6]] == [
        ["none", "0.0000"],
        ["left", "0.2500"],
        ["right", "0.7500"],
        ["all", "1.0000"],
    ]


def test_named_heads_are_replaced_together() -> None:
    oracle = pass_of(halves(), ["right", "left"])
    assert list(oracle.values) == ["none", "left + right"]
    assert oracle.values["left + right"]["pixel_accuracy"] == 1
    assert oracle.advice() == "oracle=ladder shows which head to improve first"
    assert list(pass_of(halves(), "right").values) == ["none", "right"]


def test_no_head_is_named_if_none_gains() -> None:
    oracle = pass_of(halves(), "ladder")
    for values in oracle.values.values():
        values["pixel_accuracy"] = 0.5
    assert "no head alone gains" in oracle.advice()
    oracle.values["none"]["pixel_accuracy"] = None
    assert "undefined" in oracle.advice()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["lift"], "oracle: there is no head lift; did you mean left?"),
        ("semantics", "oracle: there is no head semantics; known: ladder, left, right"),
        ([], "give heads, such as 'oracle=\\[left,right\\]"),
        (3, "oracle: 3; give heads"),
        ("all", "oracle: all; type oracle=ladder .* 'oracle=\\[left,right\\]'"),
        (["ladder", "left"], "type oracle=ladder for each head alone and all together"),
    ],
)
def test_an_unknown_head_is_one_line(wanted: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        variants(wanted, ["left", "right"])


def test_the_command_writes_the_ladder_beside_the_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    running.train(tmp_path / "run", "trainer.max_steps=1")
    small = ["dataset.size=[24,32]", "dataset.counts={train: 10, valid: 3, test: 3}", "data.workers=0"]
    cfg = composed(f"ckpt={tmp_path / 'run'}", *small, "oracle=ladder", name="eval")
    capsys.readouterr()
    assert evaluation.work(evaluation.EvaluationJob(compose.settings(cfg), tmp_path / "evaluated")) == 0
    written = json.loads((tmp_path / "evaluated" / "metrics.json").read_text())
    assert written["oracle"]["metrics"]["semantic"]["miou"] == 1
    assert written["oracle"]["metrics"]["none"]["miou"] == written["metrics"]["miou"] < 1
    assert "improve semantic first: with its ground truth miou goes from" in capsys.readouterr().out
