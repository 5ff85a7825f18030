"""The network as a program of torch.export, and as an ONNX model."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from densepred.exporting.network import INPUT, Network
from densepred.types import UserError

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""Packages that write and run files of ONNX."""
INSTALL = "pip install 'densepred[onnx]'"
LARGEST = 2**31 - 2**20
"""Bytes of weights that fit a file of ONNX: protobuf holds two gigabytes."""


def require(package: str) -> Any:
    """Import a package of the extra `onnx`; raise UserError with the command that installs it.

    onnxruntime from 1.32 on collects facts about models and machine for its maker, and keeps them in the home folder.
    That is off unless the user has set the variable.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is imported
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UserError(f"{package} is not installed; type {INSTALL}") from error


def program(network: Network, image: Tensor, size: Sequence[int] | None) -> ExportedProgram:
    """Trace a network with images (B, C, H, W); batch, height and width stay free, or the batch alone with a `size`.

    Raises errors of torch.export if the model depends on the size in a way that cannot be traced.
    """
    free: dict[int, Any] = dict.fromkeys((0,) if size is not None else (0, 2, 3), Dim.DYNAMIC)
    with torch.no_grad(), quiet():
        return torch.export.export(
            network.eval(),
            (image,),
            dynamic_shapes=(free,),
            strict=False,
            prefer_deferred_runtime_asserts_over_guards=True,
        )


def onnx_model(exported: ExportedProgram, names: Sequence[str], opset: int) -> Any:
    """Return the ONNX program of an exported one.

    Raises UserError if the weights are too many, errors of torch.onnx if an operation has no
    counterpart.
    """
    weights = sum(value.numel() * value.element_size() for value in exported.state_dict.values())
    if weights > LARGEST:
        raise UserError(f"{weights / 2**30:.1f} GiB of weights: ONNX files hold 2 GiB; set output=NAME.pt2")
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        found = torch.onnx.export(
            exported,
            dynamo=True,
            input_names=[INPUT],
            output_names=list(names),
            opset_version=opset,
            verbose=False,
        )
    assert found is not None
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep notes of torch's exporters on their own internals away from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
