"""Configurations composed in this process, as the commands compose them."""

from __future__ import annotations

import gc
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

if not torch.cuda.is_available():
    # Kernels run in Triton's interpreter. Triton reads this on import, and torch's compiler imports it.
    os.environ.setdefault("TRITON_INTERPRET", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some tests import onnxruntime themselves

import torch._dynamo
import torchvision  # noqa: F401 - commands that fork from here find both loaded, as they find torch

from densepred.cli import command
from densepred.cli.compose import complete, register
from densepred.process import memory
from densepred.sweep import launcher
from tests import composing

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # tests that a shell began in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)
register()
launcher.register()
composing.install()
memory.keep = lambda: None  # freed memory that a worker keeps would make each of its forks dearer

REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE = 900
"""Seconds after which a process counts as hung. No measure of speed: a busy machine must not fail a test."""


def composed(*overrides: str, name: str = "train") -> DictConfig:
    """The configuration of a command, completed and checked; a copy of its own for each caller.

    Pickle copies in an eighth of the time of `copy.deepcopy`.
    """
    return pickle.loads(_composed(name, overrides))


@cache
def _composed(name: str, overrides: tuple[str, ...]) -> bytes:
    """Compose a configuration once a process: many tests ask for the same."""
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        found = compose(name, overrides=list(overrides))
    complete(found, overrides)
    return pickle.dumps(found)


def pytest_collection_finish() -> None:
    """Leave thousands of collected tests out of garbage collection, which would go through them again and again.

    A configuration is many small objects: with Python's own thresholds, composing it collects dozens of times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    """Take back what a run sets in torch for its whole process: later tests would warn of it."""
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision("highest")


@pytest.fixture(scope="session")
def plain() -> Callable[..., dict[str, Any]]:
    """`plain("model=unet", ...)`: the same as nested dicts and lists, interpolations resolved."""

    def make(*overrides: str, name: str = "train") -> dict[str, Any]:
        found = OmegaConf.to_container(composed(*overrides, name=name), resolve=True)
        assert isinstance(found, dict)
        return {str(key): value for key, value in found.items()}

    return make
