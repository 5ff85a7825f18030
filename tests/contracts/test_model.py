"""Decoders learn from one odd image; presets build without memory and learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from densepred.build.instantiate import build
from densepred.types import HeadSpec
from tests import cases, companions

CONFIGS = Path(__file__).parents[2] / "configs"
VARIANTS: dict[str, dict[str, Any]] = {
    "unetplusplus": {"attention": "scse"},
    "segnet": {"norm": "group"},
    "hrnet_v2": {"width": 8, "stride": 1, "stepwise": True},
    "hrnet_v2p": {"width": 8, "stride": 1, "stepwise": True},
    "deeplabv3plus": {"width": 8, "low_width": 4},
    "panoptic_deeplab": {"width": 8, "pyramid_width": 8, "low_widths": [6, 4]},
}
MODELS = [
    pytest.param(path.stem, marks=pytest.mark.slow if f"model/{path.stem}" in companions.SIZES_ALONE else ())
    for path in sorted((CONFIGS / "model").glob("*.yaml"))
]
"""Presets that differ from another one in numbers alone are slow: `test_channel_axes.py` builds them in `make test`."""
INFO: dict[str, Any] = {"channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
HEADS = {"semantic": HeadSpec(5, kind="classes"), "offset": HeadSpec(2)}
IMAGE = {"image": HeadSpec(3)}
LEVELS = (8, 16, 32, 64, 128)
DETECTOR = {name: HeadSpec(n, LEVELS) for name, n in (("class", 5), ("distances", 4), ("centerness", 1))}
OWN = {"autoencoder": IMAGE, "detection_fcos": DETECTOR}
"""Heads of the models that take no others, by the task that their file names behind `# test:`."""

NAMES = sorted(path.stem for path in (CONFIGS / "model").glob("*.yaml"))
SHARED = [name for name in NAMES if companions.task(f"model/{name}") not in OWN]

Plain = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def option(plain: Plain) -> Callable[[str, str], dict[str, Any]]:
    """The node of one option of a group, composed once."""
    return cache(lambda group, name: plain("model=encoder_decoder", "decoder=unet", f"{group}={name}")[group])


def learns(model: nn.Module, batch: int = 1, size: tuple[int, int] = (37, 45)) -> None:
    outputs = model(torch.rand(batch, 3, *size))
    assert list(outputs) == list(HEADS)
    for name, spec in HEADS.items():
        assert outputs[name][-1].shape[:2] == (batch, spec.channels)
        assert all(have <= want for have, want in zip(outputs[name][-1].shape[-2:], size, strict=True))
    torch.stack([stages[-1].square().mean() for stages in outputs.values()]).sum().backward()
    parameters = dict(model.named_parameters())
    assert all(value.grad is None or value.grad.isfinite().all() for value in parameters.values())
    first = [value for key, value in parameters.items() if "encoder" in key or key.startswith("downs.")]
    assert any(value.grad is not None and value.grad.any() for value in first)


@pytest.mark.parametrize("decoder", VARIANTS)
def test_a_decoder_learns_with_the_settings_that_no_preset_has(
    option: Callable[[str, str], dict[str, Any]], decoder: str
) -> None:
    """`tests/program/test_grid.py` tries every encoder with every decoder and every upsampling as they are."""
    torch.manual_seed(0)
    parts = {
        "encoder": option("encoder", "plain") | {"widths": [4, 6, 8]},
        "decoder": option("decoder", decoder) | VARIANTS[decoder],
    }
    learns(build(option("model", "encoder_decoder") | parts, heads=HEADS, **INFO))


@pytest.mark.parametrize("name", MODELS)
def test_every_preset_builds_on_meta_and_takes_its_weights_from_there(plain: Plain, name: str) -> None:
    node = plain(f"model={name}")["model"]
    with torch.device("meta"):
        empty = build(node, heads=OWN.get(companions.task(f"model/{name}"), HEADS), **INFO)
    state = empty.state_dict()
    assert "mean" in state
    assert "std" in state or name in ("linear_autoencoder", "pca")  # their error is measured in colours
    assert all(value.is_meta for value in state.values())
    empty.load_state_dict(
        {key: torch.zeros(value.shape, dtype=value.dtype) for key, value in state.items()}, assign=True
    )
    assert not any(value.is_meta for value in (*empty.parameters(), *empty.buffers()))


@pytest.mark.parametrize("name", cases.few(SHARED, ["unet", "fpn"]))
def test_presets_learn_from_batches_of_1_and_2(plain: Plain, name: str) -> None:
    model = build(plain(f"model={name}")["model"], heads=HEADS, **INFO)
    learns(model, 1)
    learns(model, 2, (48, 33))


def test_the_command_line_wins_over_a_preset(plain: Plain) -> None:
    model = plain("model=deeplabv3")["model"]
    assert (model["encoder"]["depth"], model["encoder"]["output_stride"]) == (50, 16)
    assert model["decoder"]["_target_"].endswith("DeepLabV3")
    model = plain("model=deeplabv3", "encoder=resnet18", "encoder.output_stride=8", "decoder.width=32")["model"]
    assert (model["encoder"]["depth"], model["encoder"]["output_stride"], model["decoder"]["width"]) == (18, 8, 32)
    model = plain("model=unet", "upsample=bilinear", "upsample.align_corners=true")["model"]
    assert model["decoder"]["upsample"]["align_corners"] is True
