"""An ONNX file of densepred as a model: onnxruntime computes, the task decodes as ever."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from densepred.contracts import Model
from densepred.errors import Notice, UserError, out_of_memory
from densepred.exporting.convert import require
from densepred.exporting.network import heads_of, ids_alone
from densepred.task import Task
from densepred.types import HeadSpec
from densepred.weights import header
from densepred.weights.file import described_task

SUFFIX = ".onnx"
FACTS, LEAST = "densepred_parity", "least_side"
"""Key of the parity table in the metadata of a file, and there of the least side that the file takes."""
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class Session:
    """An ONNX file, opened by onnxruntime. Raises UserError if it cannot be opened.

    A `fresh` file was written a moment ago: the error is then that of onnxruntime, because the file is no user's.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # errors are raised, and small images try some out
        threads = torch.get_num_threads()
        options.intra_op_num_threads = threads
        known = runtime.get_available_providers()
        try:
            self.session = runtime.InferenceSession(str(path), options, [one for one in PROVIDERS if one in known])
        except Exception as error:  # onnxruntime raises errors of its own for each reason
            if fresh or out_of_memory(error):
                raise
            fact = str(error).splitlines()[0][:160]
            raise UserError(f"{path}: onnxruntime cannot open it ({fact}); give a file of densepred-export") from error
        self.path, self.metadata = path, dict(self.session.get_modelmeta().custom_metadata_map)
        self.names = [output.name for output in self.session.get_outputs()]
        self.input = self.session.get_inputs()[0]
        self.least = self._least()

    def _least(self) -> int:
        """Return the least side of images; 1 for files without the fact, and of another form."""
        try:
            return int(json.loads(self.metadata[FACTS])[LEAST])
        except (KeyError, TypeError, ValueError):
            return 1

    def described(self) -> dict[str, Any]:
        """Return the description of model, task and data that densepred-export stored in the file."""
        text = self.metadata.get(header.KEY)
        if text is None:
            raise UserError(f"{self.path}: holds no description of its model; give a file that densepred-export wrote")
        return header.checked(header.parse(text, self.path), self.path)

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name for images (B, C, H, W) float32 in [0, 1], on their device."""
        for axis, side in zip((2, 3), self.input.shape[2:], strict=True):
            if isinstance(side, int) and side != image.shape[axis]:
                given = f"{image.shape[-2]}x{image.shape[-1]}"
                wanted = "x".join(map(str, self.input.shape[2:]))
                tiles = f", or type tile={side} for windows of this size" if len({*self.input.shape[2:]}) == 1 else ""
                raise UserError(
                    f"{self.path}: made for images of {wanted}, there is one of {given}; export without size={tiles}"
                )
        if min(image.shape[2:]) < self.least:
            raise UserError(
                f"{self.path}: takes sides of {self.least} pixels and more, there is an image of {image.shape[-2]}x"
                f"{image.shape[-1]}; predict it with the run"
            )
        pixels = np.ascontiguousarray(image.detach().float().cpu().numpy())
        found = self.session.run(None, {self.input.name: pixels})
        return {name: torch.from_numpy(value).to(image.device) for name, value in zip(self.names, found, strict=True)}


class RuntimeModel(Model):
    """A model that onnxruntime computes. It cannot be trained."""

    def __init__(self, session: Session, heads: Mapping[str, HeadSpec], align_corners: bool) -> None:
        super().__init__()
        self.session, self.specs, self.align_corners = session, dict(heads), align_corners
        self.ids_alone = ids_alone(session.names)

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {name: [value] for name, value in heads_of(self.session(image), self.specs).items()}


def check_probabilities(model: Model, wanted: bool) -> None:
    """Raise UserError if they are wanted of a file that holds class ids alone: they would be 0 and 1."""
    if wanted and isinstance(model, RuntimeModel) and model.ids_alone:
        fact = f"{model.session.path} holds class ids alone (argmax=true)"
        raise UserError(f"probabilities: {fact}; export its run with probabilities=true")


def tell_votes(model: Model, averaged: Sequence[str]) -> None:
    """Issue a notice if a file holds class ids alone and outputs are averaged, or instances need probabilities."""
    if not isinstance(model, RuntimeModel) or not model.ids_alone:
        return
    facts = [f"{word}: ids are counted as votes" for word in averaged]
    if len(model.specs) > 1:
        facts.append("scores of instances ignore the probability of their class")
    if facts:
        text = f"ckpt={model.session.path}: holds class ids alone (argmax=true): {', and '.join(facts)}"
        warnings.warn(f"{text}; export its run with probabilities=true", Notice, stacklevel=2)


def load(
    path: Path, trust: Sequence[str] = (), codec: Mapping[str, Any] | None = None
) -> tuple[RuntimeModel, Task, dict[str, Any]]:
    """Return the model of an exported ONNX file, its task and its description, as `weights.file.load_model` does.

    The description is checked as that of a file of weights: it may name only components of densepred and of `trust`.
    """
    session = Session(path)
    described, task = described_task(session.described(), path, trust, codec, losses=False)
    return RuntimeModel(session, task.heads, described.get("align_corners") is True).eval(), task, described
