"""An exported file as a model: onnxruntime or torch computes, the task decodes as ever."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from densepred.contracts import Model
from densepred.engine import temperature
from densepred.errors import Notice, UserError
from densepred.exporting import program, session
from densepred.exporting.exported import TEMPERATURE, Exported
from densepred.exporting.network import heads_of, ids_alone
from densepred.task import Task
from densepred.types import HeadSpec
from densepred.weights.file import described_task

SUFFIXES = (session.SUFFIX, program.SUFFIX)


class RuntimeModel(Model):
    """A model that an exported file computes, in float32. It cannot be trained."""

    def __init__(self, file: Exported, heads: Mapping[str, HeadSpec], align_corners: bool) -> None:
        super().__init__()
        self.file, self.specs, self.align_corners = file, dict(heads), align_corners
        self.ids_alone = ids_alone(file.names)

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {name: [value] for name, value in heads_of(self.file(image), self.specs).items()}


def check_probabilities(model: Model, wanted: bool) -> None:
    """Raise UserError if they are wanted of a file that holds class ids alone: they would be 0 and 1."""
    if wanted and isinstance(model, RuntimeModel) and model.ids_alone:
        fact = f"{model.file.path} holds class ids alone (argmax=true)"
        raise UserError(f"probabilities: {fact}; export its run with probabilities=true")


def tell_votes(model: Model, averaged: Sequence[str]) -> None:
    """Issue a notice if a file holds class ids alone and outputs are averaged, or instances need probabilities."""
    if not isinstance(model, RuntimeModel) or not model.ids_alone:
        return
    facts = [f"{word}: ids are counted as votes" for word in averaged]
    if len(model.specs) > 1:
        facts.append("scores of instances ignore the probability of their class")
    if facts:
        text = f"ckpt={model.file.path}: holds class ids alone (argmax=true): {', and '.join(facts)}"
        warnings.warn(f"{text}; export its run with probabilities=true", Notice, stacklevel=2)


def load(
    path: Path, trust: Sequence[str] = (), codec: Mapping[str, Any] | None = None, precision: str = "fp32"
) -> tuple[RuntimeModel, Task, dict[str, Any]]:
    """Return the model of an exported file, its task and its description, as `weights.file.load_model` does.

    The description is checked as that of a file of weights: it may name only components of densepred and of `trust`.
    A program of torch.export needs "torch.export" there too. Notices tell of a temperature in the file, and of a
    `precision` that has no effect.
    """
    file = program.Program(path, trust) if path.suffix == program.SUFFIX else session.Session(path)
    named = [one for one in trust if one != program.TRUST]
    described, task = described_task(file.described(), path, named, codec, losses=False)
    if precision != "fp32":
        text = f"precision={precision}: has no effect: {path} computes in float32"
        warnings.warn(text, Notice, stacklevel=3)
    scaled = file.form(described).get(TEMPERATURE)
    if isinstance(scaled, Mapping) and scaled and not ids_alone(file.names):
        text = f"{path}: probabilities of classes are at temperature {temperature.shown(scaled)}, as in its run"
        warnings.warn(text, Notice, stacklevel=3)
    return RuntimeModel(file, task.heads, described.get("align_corners") is True).eval(), task, described
