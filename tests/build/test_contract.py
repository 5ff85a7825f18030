"""A component of one's own that misses its contract is answered by what it misses."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import nn

from densepred.build import contract
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.loader.samples import checked
from densepred.loss.ce import CrossEntropy
from densepred.metric.confusion import Confusion
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, HeadSpec, Info, Sample

INFO = Info(classes=("a", "b"))


class Lone(nn.Module):
    def forward(self, pred: Any, target: Any) -> Any:
        return pred.sum()


class Files(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, split: str, root: str) -> None: ...


class Without:
    def __init__(self, root: str = "x") -> None: ...


class Strict:
    def __init__(self, **options: Any) -> None:
        if options:
            raise ValueError("Unexpected keyword arguments")


@pytest.mark.parametrize(
    ("made", "kind", "words"),
    [
        (
            Lone(),
            "loss",
            r"x: Lone is no loss: it does not derive from densepred\.contracts\.Loss; derive",
        ),
        (Lone(), "model", "Lone is no model"),
        (3, "dataset", "int is no dataset: .*; it lacks __getitem__, __len__; derive"),
    ],
)
def test_an_object_of_another_kind(made: Any, kind: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        contract.require(made, kind, "x")


@pytest.mark.parametrize(
    ("factory", "kind", "given", "words"),
    [
        (functools.partial(Without), "dataset", {"split": "train"}, "Without takes no split, which densepred gives"),
        (functools.partial(Files), "dataset", {"split": "train"}, "Files needs root; add x.root"),
        (functools.partial(Files, root="r"), "dataset", {"split": "train"}, "Files is no dataset"),
        (functools.partial(Strict), "metric", {"info": INFO}, "Strict does not accept info: Unexpected keyword"),
        (Confusion(INFO), "metric", {"info": INFO}, "Confusion is built too early; add _partial_: true"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_factory_of_another_kind(factory: Any, kind: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        contract.make(factory, kind, "x", **given)


def test_components_pass() -> None:
    loss = CrossEntropy()
    assert contract.require(loss, "loss", "x") is loss
    assert isinstance(contract.make(functools.partial(Confusion), "metric", "x", info=INFO), Confusion)


def test_a_loss_of_another_kind_is_named_by_its_key(plain: Any) -> None:
    found = plain()
    found["task"]["losses"]["semantic"] = {"_target_": f"{__name__}.Lone"}
    with pytest.raises(UserError, match=r"task\.losses\.semantic: Lone is no loss"):
        parts.task_and_model(found["task"], found["model"], INFO)


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (torch.zeros(2, 3, 4, 5), "returns a Tensor, and not a list of maps per head"),
        ({"class": [torch.zeros(2, 3, 4, 5)]}, "no list of maps for head semantic"),
        ({"semantic": torch.zeros(2, 3, 4, 5)}, "no list of maps for head semantic"),
        ({"semantic": []}, "no list of maps for head semantic"),
        (
            {"semantic": [torch.zeros(2, 2, 4, 5)]},
            r"\(2, 2, 4, 5\) for head semantic, and not \(batch, 3, height, width\)",
        ),
        ({"semantic": [torch.zeros(2, 3)]}, r"\(2, 3\) for head semantic"),
        ({"semantic": [None]}, "NoneType for head semantic"),
    ],
)
def test_what_a_model_returns(outputs: Any, words: str) -> None:
    heads = {"semantic": HeadSpec(3, kind="classes")}
    contract.require_outputs({"semantic": [torch.zeros(2, 3, 4, 5)], "own": 1}, heads)
    with pytest.raises(UserError, match=words):
        contract.require_outputs(outputs, heads)


def test_what_a_transform_and_a_dataset_return() -> None:
    size = (4, 4)
    sample = Sample(torch.zeros(3, 4, 4), Annotation(size), Frame("a", size))
    with pytest.raises(UserError, match="transform: function returned a Tensor; return the changed Sample"):
        Pipeline([lambda sample, generator: sample.image])(sample, torch.Generator())  # type: ignore[list-item]
    with pytest.raises(UserError, match="__getitem__ returned a tuple"):
        checked((1, 2))  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"a: the dataset returned an image of type Tensor, shape \(4, 4\); return"):
        checked(Sample(torch.zeros(4, 4), Annotation(size), Frame("a", size)))
