"""Gradient checkpointing of a whole run: equal numbers, and models that have nothing to compute again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from densepred.cli import compose
from densepred.contracts import Encoder
from densepred.errors import UserError
from densepred.jobs import parts, placement, resuming
from densepred.types import Info, Pyramid
from tests import running
from tests.conftest import composed
from tests.engine.test_trainer import assert_equal_runs, stop_at

CHECKPOINTING = "trainer.checkpointing=true"


def test_a_run_that_goes_on_with_checkpointing_ends_as_one_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("trainer.max_steps=4", "encoder.dropout=0.5", "trainer.ema=0.9")
    assert running.train(tmp_path / "without", *words) == 0
    with monkeypatch.context() as patch:
        stop_at(patch, 1)
        assert running.train(tmp_path / "with", *words) == resuming.STOPPED
    assert running.train(tmp_path / "with", *words, CHECKPOINTING, f"trainer.resume={tmp_path / 'with'}") == 0
    assert_equal_runs(tmp_path / "without", tmp_path / "with")


def test_a_frozen_encoder_leaves_nothing_to_compute_again(tmp_path: Path) -> None:
    assert running.train(tmp_path, "trainer.max_steps=1", "trainer.freeze=[encoder]", CHECKPOINTING) == 0
    assert f"{CHECKPOINTING}: has no effect: the encoder is frozen" in (tmp_path / "train.log").read_text()


def placed(*words: str) -> torch.nn.Module:
    settings = compose.settings(composed(*words, CHECKPOINTING, "trainer.max_steps=1"))
    _, model = parts.task_and_model(settings.task, settings.model, Info(classes=("a", "b")))
    return placement.placed(model, settings, torch.device("cpu"))


def test_a_model_without_an_encoder_is_refused() -> None:
    with pytest.raises(UserError, match=r"UNetFirst has no encoder, .* set trainer.checkpointing=false"):
        placed("model=unet_first", "model.width=4", "model.depth=1")


def test_an_encoder_of_ones_own_that_cannot_is_refused() -> None:
    class Own(Encoder):
        def forward(self, image: Tensor) -> Pyramid:
            return Pyramid([image], [None])

    model = placed("model=unet", "encoder.widths=[4,8]")
    model.encoder = Own()
    with pytest.raises(UserError, match=r"densepred\.encoder\.activation_checkpointing\.Checkpointed"):
        placement._checkpoint(model)  # pyright: ignore[reportArgumentType]


def test_an_encoder_that_timm_cannot_compute_again_is_refused() -> None:
    with pytest.raises(UserError, match=r"encoder\.name=hrnet_w18_small \(gradient checkpointing not supported\)"):
        placed("model=fpn", "encoder=timm", "encoder.name=hrnet_w18_small")
