"""The rule of `trainer.channels_last=auto`, and what resumed runs keep."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from densepred.decoder.deeplabv3 import DeepLabV3
from densepred.decoder.deeplabv3plus import DeepLabV3Plus
from densepred.decoder.fpn import FPN
from densepred.decoder.pspnet import PSPNet
from densepred.decoder.unet import UNet
from densepred.encoder.hrnet import HRNet
from densepred.encoder.plain import Plain
from densepred.encoder.resnet import ResNet
from densepred.jobs import layout
from densepred.settings import TrainerSettings
from tests import running
from tests.conftest import REPOSITORY


def bare(*kinds: type[nn.Module]) -> nn.Module:
    """Return a network with parts of these classes, which have no weights."""
    parts = [kind.__new__(kind) for kind in kinds]
    for part in parts:
        nn.Module.__init__(part)
    return nn.Sequential(*parts)


@pytest.mark.parametrize(
    ("kind", "device", "precision", "expected"),
    [
        (nn.Conv2d, "cuda", "bf16", True),
        (nn.Conv2d, "cuda", "fp16", True),
        (HRNet, "cuda", "fp32", False),
        (DeepLabV3, "cpu", "fp32", False),
        (DeepLabV3Plus, "cpu", "fp32", True),
        (HRNet, "cpu", "fp32", True),
        (nn.Conv2d, "cpu", "bf16", False),
        (nn.Conv2d, "cpu", "fp32", False),
        (HRNet, "mps", "fp32", False),
    ],
)
def test_the_rule(kind: type[nn.Module], device: str, precision: str, expected: bool) -> None:
    trainer, written = TrainerSettings(precision=precision), {"trainer": {"channels_last": "auto"}}
    lines = layout.settle(trainer, written, bare(kind), torch.device(device), None)
    assert trainer.channels_last is expected
    assert len(lines) == expected
    assert written == {"trainer": {"channels_last": "auto"}}  # a resumed run follows the rule again


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((ResNet, UNet), True),
        ((ResNet, FPN), True),
        ((ResNet, PSPNet), False),
        ((Plain, UNet), False),
        ((ResNet,), False),
    ],
)
def test_on_a_cpu_encoder_and_decoder_decide_together(kinds: tuple[type[nn.Module], ...], expected: bool) -> None:
    assert (layout.reason(bare(*kinds), "cpu", "fp32") is not None) is expected


@pytest.mark.parametrize("typed", [True, False])
def test_a_typed_value_wins(typed: bool) -> None:
    trainer = TrainerSettings(channels_last=typed)
    assert layout.settle(trainer, {}, bare(HRNet), torch.device("cpu"), None) == []
    assert trainer.channels_last is typed


def test_an_earlier_run_resumes_with_false(tmp_path: Path) -> None:
    run = Path(shutil.copytree(REPOSITORY / "tests" / "former_runs" / "semantic", tmp_path / "run"))
    assert layout.begun_layout(run) is False
    trainer, written = TrainerSettings(), {"trainer": {"channels_last": "auto"}}
    assert layout.settle(trainer, written, bare(HRNet), torch.device("cpu"), run) == []
    assert trainer.channels_last is False
    assert written["trainer"]["channels_last"] is False


def test_the_choice_of_a_run_is_one_line_of_its_log(tmp_path: Path) -> None:
    words = ("model=deeplabv3plus", "encoder=plain", "encoder.widths=[4,8,8]", "decoder.stride=2", "decoder.width=4")
    assert running.train(tmp_path, *words, "trainer.max_steps=1", "trainer.epochs=null") == 0
    lines = [line for line in (tmp_path / "train.log").read_text().splitlines() if "channels_last" in line]
    assert len(lines) == 1
    assert "trainer.channels_last=auto: true, DeepLabV3+ on the CPU" in lines[0]
