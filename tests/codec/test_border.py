"""Border weights of the semantic codec: cells, classes, and their effect on every loss."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from densepred.build.instantiate import build
from densepred.codec.semantic import Semantic
from densepred.errors import UserError
from densepred.loss.ce import CrossEntropy
from densepred.loss.dice import Dice
from densepred.ops.regions.border import border_weight
from densepred.ops.regions.components import class_components
from densepred.task import Task
from densepred.types import VOID, Annotation, Info

INFO = Info(classes=("membrane", "cell", "blood"))
LABELS = torch.tensor([[1, 1, 0, 1, 0, 2, VOID, 2], [1, 1, 0, 1, 0, 2, 0, 2]], dtype=torch.uint8)
IDS = torch.tensor([[1, 1, 0, 0, 0, 2, 0, 3], [1, 1, 0, 0, 0, 2, 0, 3]], dtype=torch.int32)
SETTINGS = {"w0": 10, "sigma": 5}


def weight(truth: Annotation, info: Info = INFO, **more: object) -> torch.Tensor:
    return Semantic(info, border=SETTINGS | more).encode(truth)["semantic_weight"]


def expected(cells: torch.Tensor) -> torch.Tensor:
    return (1 + border_weight(cells, 10, 5)).masked_fill(LABELS == VOID, 0)


def test_cells_are_the_parts_of_a_class() -> None:
    truth = Annotation((2, 8), semantic=LABELS)
    assert torch.equal(weight(truth), expected(class_components(LABELS, [1, 2])))
    assert torch.equal(weight(truth, of="cell"), expected(class_components(LABELS, [1])))
    assert torch.equal(weight(truth, of=2), expected(class_components(LABELS, [2])))
    assert torch.equal(weight(truth, of=["cell", 2]), expected(class_components(LABELS, [1, 2])))
    things = Info(classes=INFO.classes, things=(2,))
    assert torch.equal(weight(truth, things), expected(class_components(LABELS, [2])))
    assert not torch.equal(weight(truth, of="cell"), weight(truth))


def test_cells_are_the_instances_where_there_are_any() -> None:
    truth = Annotation((2, 8), semantic=LABELS, instances=IDS)
    assert torch.equal(weight(truth), expected(IDS))
    truth.categories = torch.tensor([1, 2, 2])
    assert torch.equal(weight(truth, of="blood"), expected(IDS * (IDS > 1)))
    truth.instances = torch.zeros_like(IDS)
    assert torch.equal(weight(truth), expected(IDS * 0))


def test_without_settings_there_is_no_weight() -> None:
    assert set(Semantic(INFO).encode(Annotation((2, 8), semantic=LABELS))) == {"semantic"}


def test_balance_is_the_weight_of_the_class_and_void_stays_void() -> None:
    truth = Annotation((2, 8), semantic=LABELS)
    have = weight(truth, balance=[3.0, 0.5, 0.0], of="cell")
    table = torch.tensor([3.0, 0.5, 0.0])
    known = LABELS != VOID
    want = border_weight(class_components(LABELS, [1]), 10, 5) + table[LABELS.long().clamp(max=2)]
    assert torch.equal(have[known], want[known])
    assert not have[~known].any()


@pytest.mark.parametrize("loss", [CrossEntropy(), Dice()])
def test_losses_of_a_task_take_it(loss: torch.nn.Module) -> None:
    truth = Annotation((2, 8), semantic=LABELS)
    task = Task(INFO, partial(Semantic, border=SETTINGS), {"semantic": loss})
    targets = {name: value[None] for name, value in task.codec.encode(truth).items()}
    torch.manual_seed(0)
    logits = torch.randn(1, 3, 2, 8)
    have = task.loss({"semantic": [logits]}, targets)["total"]
    assert torch.allclose(have, loss(logits, LABELS[None], targets["semantic_weight"][None, 0]))
    assert not torch.allclose(have, loss(logits, LABELS[None]), rtol=1e-3)
    if isinstance(loss, CrossEntropy):
        known, w = LABELS != VOID, expected(class_components(LABELS, [1, 2]))
        each = -logits[0].log_softmax(0).gather(0, LABELS.long().clamp(max=2)[None])[0]
        assert torch.allclose(have, (each * w)[known].sum() / w[known].sum())


def test_the_command_line_sets_it_and_a_checkpoint_may_hold_it(plain) -> None:
    node = plain("task.codec.border={w0: 10, sigma: 5, of: disc}")["task"]
    task = build(node, [], "task", info=Info(classes=("ground", "disc")))
    assert task.codec.map.border.classes == (1,)
    assert plain("task.codec.border=null")["task"]["codec"]["border"] is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sigm": 3}, "border: sigm; did you mean sigma"),
        ({"sigma": 0}, "sigma=0.0; give"),
        ({"w0": "much"}, "w0: much; give a number"),
        ({"of": "cel"}, "cel; did you mean cell"),
        ({"of": 3}, "of: 3; give a class from 0 to 2"),
        ({"balance": [1, 2]}, "give 3 numbers"),
    ],
)
def test_a_wrong_setting_is_one_sentence(settings: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Semantic(INFO, border=settings)
