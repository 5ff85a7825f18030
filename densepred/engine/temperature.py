"""Temperature scaling: one number per head of classes, fitted on the validation split and kept beside the weights.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (arXiv 1706.04599).
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from densepred import distributed
from densepred.atomic import write_json
from densepred.contracts import Model, Unpadded
from densepred.errors import Notice, UserError
from densepred.ops.resize import resample
from densepred.task import Task
from densepred.types import VOID, Annotation, Batch, Outputs
from densepred.weights import digest
from densepred.weights.header import raw_header

FILE = "temperature.json"
MOST = 1 << 23  # logits that are kept for the fit
LOWEST, HIGHEST = 0.01, 100.0
STEPS = 60  # of bisection: the bracket of ln T shrinks to 1e-17

Temperatures = dict[str, float]


class Samples:
    """Logits and labels of an evaluation, as `Seen` of `engine.evaluate`: evenly spread known pixels of each image."""

    def __init__(self, task: Task, images: int, align_corners: bool) -> None:
        self.specs = {name: spec for name, spec in task.heads.items() if spec.kind == "classes"}
        if not self.specs:
            raise UserError("calibrate: the model of this checkpoint predicts no class probabilities; leave it out")
        self.images, self.align = max(1, images), align_corners
        self.found: dict[str, list[tuple[str, Tensor, Tensor]]] = {name: [] for name in self.specs}

    def __call__(self, batch: Batch, found: list[Annotation], outputs: Outputs) -> None:
        for name in self.specs:
            for index, frame in enumerate(batch.frames):
                labels = batch.targets[name][index]
                logits = outputs[name][-1][index : index + 1].float()
                full = resample.resize(logits, (int(labels.shape[-2]), int(labels.shape[-1])), self.align)
                full = resample.two_channels(full)[0].flatten(1).cpu()
                known = (labels.flatten() != VOID).nonzero()[:, 0].cpu()
                most = max(1, MOST // len(full) // self.images)
                if len(known) > most:
                    known = known[spread(len(known), most)]
                self.found[name].append((frame.id, full[:, known].T.contiguous(), labels.flatten().cpu()[known].long()))

    def joined(self, name: str) -> tuple[Tensor, Tensor]:
        """Return logits (N, K) and labels (N,) of all processes, in the order of the images' ids."""
        parts = sorted((part for rank in distributed.gather(self.found[name]) for part in rank), key=lambda p: p[0])
        return torch.cat([part[1] for part in parts]), torch.cat([part[2] for part in parts])


def spread(count: int, wanted: int) -> Tensor:
    """Return indices that are spread evenly from 0 to count - 1, (wanted,) int64; in float32 the last may be count."""
    return torch.linspace(0, count - 1, wanted, dtype=torch.float64).long()


def fit(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature with the least mean negative log-likelihood, in [0.01, 100].

    logits: (N, K) float32
    labels: (N,) int64

    The likelihood is concave in 1 / T, so its derivative is bisected.
    """
    low, high = math.log(LOWEST), math.log(HIGHEST)
    own = logits.gather(1, labels[:, None])[:, 0].double().mean()
    for _ in range(STEPS):
        middle = (low + high) / 2
        share = (logits / math.exp(middle)).softmax(1)
        expected = (share * logits).sum(1).double().mean()
        low, high = (middle, high) if expected > own else (low, middle)
    return min(max(math.exp((low + high) / 2), LOWEST), HIGHEST)


def nll(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood in nats."""
    return nn.functional.cross_entropy(logits / temperature, labels).item()


def store(path: Path, values: Mapping[str, Any]) -> Path:
    """Write the temperatures of the weights `path` into the file beside them; return it."""
    file = path.parent / FILE
    write_json(file, {**_read(file), path.name: {"digest": _digest(path), **values}})
    return file


def held(path: Path) -> Temperatures:
    """Return the temperatures of the weights `path` in the file beside them, by their digest; {} if it has none."""
    entries = _read(path.parent / FILE)
    own = _digest(path) if entries else None
    for entry in entries.values():  # a copy, or the last weights where they are the best, may have another name
        if own is not None and entry.get("digest") == own:
            return {name: float(value) for name, value in entry["temperature"].items()}
    return {}


def apply(model: Model, task: Task, path: Path) -> Temperatures:
    """Divide the logits of `model` by the temperatures beside its weights, with a notice; return them, {} without.

    Those of other weights, as of a run that went on, are not used; a notice tells so. Another tells of `skip_stages`.
    """
    file = path.parent / FILE
    found = held(path)
    if not found:
        if file.is_file():
            text = (
                f"{file}: is not used: it was fitted for other weights than {path.name}; densepred-eval calibrate=true"
            )
            warnings.warn(f"{text} fits it again", Notice, stacklevel=3)
        return {}
    if unknown := [name for name in found if name not in task.heads]:
        raise UserError(f"{file}: names head {unknown[0]}, which {path.name} has not; remove it")
    scale(model, found)
    _watch_stages(model, file)
    text = f"{file}: probabilities of classes are at temperature {shown(found)}; remove it for those of the network"
    warnings.warn(text, Notice, stacklevel=3)
    return found


def _watch_stages(model: Model, file: Path) -> None:
    """Tell if another stage predicts than the one that the temperature was fitted for."""
    plain = model.skip_stages

    def skip_stages(stages: int) -> None:
        plain(stages)
        if stages:
            text = f"{file}: was fitted for the last stage, and an earlier one predicts; remove it to leave it out"
            warnings.warn(f"skip_stages={stages}: {text}", Notice, stacklevel=2)

    model.skip_stages = skip_stages  # of this model alone, where its settings arrive after its weights


def shown(temperatures: Mapping[str, Any]) -> str:
    """Return temperatures and their heads as text; those of a file of unknown origin, too."""
    numbers = {name: one for name, one in temperatures.items() if isinstance(one, int | float)}
    return ", ".join(f"{value:.3f} (head {name})" for name, value in numbers.items())


def scale(model: Model, temperatures: Temperatures) -> None:
    """Divide the logits of these heads by their temperatures in every call of the model."""

    def divided(outputs: Outputs) -> dict[str, list[Tensor]]:
        return {
            name: [stage / temperatures[name] for stage in stages] if name in temperatures else stages
            for name, stages in outputs.items()
        }

    if isinstance(model, Unpadded):  # its forward pass calls `valid`, which windows call too
        plain = model.valid
        model.valid = lambda image: divided(plain(image))
    else:
        model.register_forward_hook(lambda module, inputs, outputs: divided(outputs))


def _digest(path: Path) -> str | None:
    metadata = raw_header(path).get("__metadata__")
    return metadata.get(digest.KEY) if isinstance(metadata, dict) else None


def _read(file: Path) -> dict[str, Any]:
    """Return the entry per file of weights, {} if there is no file. Raises UserError if it is damaged."""
    if not file.is_file():
        return {}
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        values = [float(value) for entry in data.values() for value in entry["temperature"].values()]
        if not all(LOWEST <= value <= HIGHEST for value in values):
            raise ValueError("temperature")
        return dict(data)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read ({type(error).__name__}); remove it to go on without it") from error
