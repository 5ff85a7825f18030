"""Several runs as one model: the mean of their probabilities, or of their values, per head."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from densepred.contracts import Model
from densepred.engine import temperature
from densepred.engine.flip import logits, probabilities
from densepred.errors import Notice, UserError, shown
from densepred.ops.resize import resample
from densepred.task import Task
from densepred.types import HeadSpec
from densepred.weights.file import load_model
from densepred.weights.header import find_weights

DATA = ("classes", "things", "keypoints", "channels", "bands", "window", "max_value", "exif")
"""Facts that the datasets of all runs must have in common: the meaning of outputs, and how images are read."""


class Ensemble(Model):
    """Average members with equal heads. Lakshminarayanan et al., NeurIPS 2017 (arXiv 1612.01474).

    A head of stride 1 is enlarged to the image first, as each member's `align_corners` asks. Other heads must have maps
    of one size. Classes are averaged as probabilities, values as they are, as `flip` does.
    """

    def __init__(self, members: Sequence[Model], heads: Mapping[str, HeadSpec]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.heads = dict(heads)
        self.align_corners = all(member.align_corners for member in members)

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        size = (int(image.shape[-2]), int(image.shape[-1]))
        total: dict[str, Tensor] = {}
        for member in self.members:
            outputs = member(image)
            for name, spec in self.heads.items():
                value = outputs[name][-1].float()
                if spec.strides == (1,):
                    value = resample.resize(value, size, bool(member.align_corners))
                value = probabilities(spec, value) / len(self.members)
                if name in total and total[name].shape != value.shape:
                    raise UserError(
                        f"ckpt: head {name} has maps of {shown([*total[name].shape[2:]])} and of "
                        f"{shown([*value.shape[2:]])}; choose runs with one stride"
                    )
                total[name] = total[name] + value if name in total else value
        return {name: [logits(self.heads[name], value)] for name, value in total.items()}

    def skip_stages(self, stages: int) -> None:
        for member in self.members:
            assert isinstance(member, Model)
            member.skip_stages(stages)


def listed(ckpt: object) -> list[str]:
    """Return the checkpoints of `ckpt`: one text, or a list of them. Raises UserError for anything else."""
    if isinstance(ckpt, str | Path):
        return [str(ckpt)]
    if isinstance(ckpt, Sequence) and ckpt and all(isinstance(one, str | int) for one in ckpt):
        return [str(one) for one in ckpt]
    raise UserError(f"ckpt: {shown(ckpt)}; give a run, or several as 'ckpt=[RUN1,RUN2]'")


def load(
    ckpt: object,
    trust: Sequence[str] = (),
    codec: Mapping[str, Any] | None = None,
    losses: bool = True,
    scaled: bool = True,
) -> tuple[Model, Task, dict[str, Any]]:
    """Return the model, task and description of a run, or of the ensemble of several; see `load_model`.

    Task, losses, metrics and description are those of the first. Raises UserError if classes, task, heads or the
    reading of images differ. With `scaled`, temperatures beside the weights are applied; a notice tells of members
    without one.
    """
    first, *others = [find_weights(one) for one in listed(ckpt)]
    model, task, described = load_model(first, trust, codec, losses)
    known = {first: temperature.apply(model, task, first) if scaled else {}}
    if not others:
        return model, task, described
    members = [model]
    for path in others:
        member, other, header = load_model(path, trust, codec, losses)
        _compare(first, task, described, path, other, header)
        known[path] = temperature.apply(member, other, path) if scaled else {}
        members.append(member)
    _tell_uncalibrated(known)
    return Ensemble(members, task.heads).eval(), task, described


def _compare(
    first: Path, task: Task, described: Mapping[str, Any], path: Path, other: Task, header: Mapping[str, Any]
) -> None:
    """Raise UserError if a member does not fit the first; tell if the settings of their codecs differ."""
    facts = {"task": (type(task.codec).__name__, type(other.codec).__name__)}
    facts |= {name: (getattr(task.info, name), getattr(other.info, name)) for name in DATA}
    facts |= {"heads": (_heads(task), _heads(other)), "transform": (_valid(described), _valid(header))}
    both = [name for name in task.heads if name in other.heads]
    facts |= {f"names of head {name}": (task.heads[name].names, other.heads[name].names) for name in both}
    for word, (one, two) in facts.items():
        if one != two:
            differ = "differs" if word in ("task", "transform", "window", "max_value", "exif") else "differ"
            raise UserError(
                f"ckpt: {word} of {first} and {path} {differ}: {shown(one)} and {shown(two)}; average runs of one task "
                "on one dataset"
            )
    if task.info.mirrored != other.info.mirrored or described["task"]["codec"] != header["task"]["codec"]:
        warnings.warn(f"ckpt: settings of the codec differ; those of {first} count", Notice, stacklevel=3)


def _tell_uncalibrated(known: Mapping[Path, temperature.Temperatures]) -> None:
    """Tell of members without a temperature beside others that have one: a mean of both is calibrated for neither."""
    if any(known.values()) and (without := [path for path, found in known.items() if not found]):
        text = f"ckpt: {without[0]} has no temperature, as other members have, and is averaged as it is"
        remedy = "densepred-eval calibrate=true fits one"
        warnings.warn(f"{text}; {remedy}", Notice, stacklevel=3)


def _heads(task: Task) -> dict[str, Any]:
    return {name: (spec.channels, spec.strides, spec.kind) for name, spec in task.heads.items()}


def _valid(header: Mapping[str, Any]) -> Any:
    return header.get("transform", [])
