"""A run of a narrow U-Net, the same with a temperature, and its ONNX file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from densepred.cli import compose
from densepred.engine import temperature
from densepred.errors import Notice
from densepred.jobs import export
from tests import running
from tests.conftest import composed


def export_run(run: Path, output: Path, *words: str) -> int:
    cfg = composed(f"ckpt={run}", f"output={output}", *words, name="export")
    return export.work(compose.settings(cfg))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert running.train(folder, "trainer.max_steps=1", "encoder.widths=[2,4]") == 0
    return folder


@pytest.fixture(scope="module")
def calibrated(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with a temperature of 4."""
    folder = tmp_path_factory.mktemp("calibrated")
    shutil.copy(run / "best.safetensors", folder)
    temperature.store(folder / "best.safetensors", {"temperature": {"semantic": 4.0}})
    return folder


@pytest.fixture(scope="module")
def onnx(calibrated: Path) -> Path:
    """An ONNX file of any size; the only such export in `make test`, because it takes seconds."""
    with pytest.warns(
        Notice, match=r"temperature\.json: probabilities of classes are at temperature 4\.000 \(head sem"
    ):
        assert export_run(calibrated, calibrated / "model.onnx") == 0
    return calibrated / "model.onnx"
