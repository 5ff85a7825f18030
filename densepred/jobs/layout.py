"""Memory layout of a run's images and weights: channels-last where it is faster, by a rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from densepred.decoder.deeplabv3plus import DeepLabV3Plus
from densepred.decoder.fpn import FPN
from densepred.decoder.unet import UNet
from densepred.encoder.hrnet import HRNet
from densepred.encoder.resnet import ResNet
from densepred.rundir.checkpoints import META, Checkpoints
from densepred.settings import TrainerSettings

AUTO = "auto"
KEY = "trainer.channels_last"
FASTER: dict[str, tuple[type[nn.Module] | tuple[type[nn.Module], ...], ...]] = {
    "DeepLabV3+": (DeepLabV3Plus,),
    "HRNet": (HRNet,),
    "a ResNet under U-Net or FPN": (ResNet, (UNet, FPN)),
}
"""Parts of the models that were measured to be faster on a CPU. PSPNet and DeepLabV3 train slower on a ResNet."""


def settle(
    trainer: TrainerSettings, written: dict[str, Any], model: nn.Module, device: torch.device, begun: Path | None
) -> list[str]:
    """Replace `trainer.channels_last=auto` by true or false; return a line where it is true.

    `begun` is the folder of a run that is resumed: if it began with true or false it goes on with that, and `written`,
    the configuration that its checkpoints record, gets it too.
    """
    if trainer.channels_last != AUTO:
        return []
    before = begun_layout(begun) if begun is not None else None
    if before is not None:
        trainer.channels_last = written["trainer"]["channels_last"] = before
        return [f"{KEY}=true: as the run began"] if before else []
    why = reason(model, device.type, trainer.precision)
    trainer.channels_last = why is not None
    return [f"{KEY}=auto: true, {why}; results differ by rounding from false"] if why else []


def reason(model: nn.Module, device: str, precision: str) -> str | None:
    """Return why channels-last is faster for `model`; None where the rule does not choose it."""
    if device == "cuda":
        return f"{precision} on a CUDA device" if precision in ("bf16", "fp16") else None
    if device != "cpu":
        return None
    parts = list(model.modules())
    found = [
        name for name, kinds in FASTER.items() if all(any(isinstance(one, kind) for one in parts) for kind in kinds)
    ]
    return f"{found[0]} on the CPU" if found else None


def begun_layout(folder: Path) -> bool | None:
    """Return the true or false that the newest checkpoint's run was set to; None where it was auto or is unreadable."""
    checkpoints = Checkpoints(folder / "checkpoints")
    for step in reversed(checkpoints.steps()):
        try:
            config = json.loads((checkpoints.folder / str(step) / META).read_text(encoding="utf-8"))["config"]
            found = config.get(KEY)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
        return found if isinstance(found, bool) else None
    return None
