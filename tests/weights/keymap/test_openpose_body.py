"""Names of the port, and its layers built from these names, against our model."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from densepred.encoder.vgg import VGG
from densepred.model.openpose import OpenPose
from densepred.types import HeadSpec
from densepred.weights.families import family, matching_families

FRONT = ["1_1", "1_2", "P", "2_1", "2_2", "P", "3_1", "3_2", "3_3", "3_4", "P", "4_1", "4_2", "4_3_CPM", "4_4_CPM"]
WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 256, 128)
OUT = {1: 38, 2: 19}


def layers() -> dict[str, tuple[int, int, int]]:
    """Return input channels, output channels and kernel by name."""
    found, channels = {}, 3
    for name, width in zip(FRONT, WIDTHS, strict=True):
        if width:
            found[f"conv{name}"], channels = (channels, width, 3), width
    for branch, out in OUT.items():
        first = [(128, 128, 3)] * 3 + [(128, 512, 1), (512, out, 1)]
        found |= {f"conv5_{i}_CPM_L{branch}": shape for i, shape in enumerate(first, 1)}
        later = [(185, 128, 7), *[(128, 128, 7)] * 4, (128, 128, 1), (128, out, 1)]
        found |= {f"Mconv{i}_stage{s}_L{branch}": shape for s in range(2, 7) for i, shape in enumerate(later, 1)}
    return found


def weights(scale: float = 1.0) -> dict[str, Tensor]:
    generator, state = torch.Generator().manual_seed(0), {}
    for name, (before, after, kernel) in layers().items():
        deviation = scale * (2 / (before * kernel**2)) ** 0.5
        state[f"{name}.weight"] = torch.randn(after, before, kernel, kernel, generator=generator) * deviation
        state[f"{name}.bias"] = torch.randn(after, generator=generator) * 0.1
    return state


def slow(state: dict[str, Tensor], x: Tensor) -> dict[int, Tensor]:
    """Return fields and heatmaps for an input as the port prepares it; the last layer of a branch has no ReLU."""

    def run(x: Tensor, name: str, relu: bool = True) -> Tensor:
        weight = state[f"{name}.weight"]
        x = F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)
        return x.relu() if relu else x

    for name in FRONT:
        x = F.max_pool2d(x, 2) if name == "P" else run(x, f"conv{name}")
    features, answers = x, {}
    for stage in range(1, 7):
        seen = torch.cat([answers[1], answers[2], features], 1) if answers else features
        for branch in OUT:
            y, last = seen, 5 if stage == 1 else 7
            for i in range(1, last + 1):
                name = f"conv5_{i}_CPM_L{branch}" if stage == 1 else f"Mconv{i}_stage{stage}_L{branch}"
                y = run(y, name, relu=i < last)
            answers[branch] = y
    return answers


def test_every_tensor_has_its_place_and_the_outputs_are_those_of_the_port() -> None:
    theirs = weights()
    assert len(theirs) == 184
    assert matching_families(theirs) == ["openpose_body"]
    assert matching_families([f"model0.{name}" if name.startswith("conv4") else f"model6_2.{name}" for name in theirs])
    table = family("openpose_body")
    state, extras = table.rename(theirs)
    assert not extras
    heads = {"paf": HeadSpec(38, (8,)), "heatmap": HeadSpec(19, (8,))}
    model = OpenPose(
        partial(VGG, depth=19, convolutions=10, batch_norm=False), heads, 3, table.mean, table.std, bgr=True
    ).eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert (sorted(missing), unexpected) == (["mean", "std"], [])
    assert table.expects == {"bgr": model.bgr, "encoder.convolutions": 10, "encoder.batch_norm": False}
    image = torch.randint(256, (1, 3, 40, 48), generator=torch.Generator().manual_seed(1)).float()  # RGB
    with torch.no_grad():
        paf, heat = slow(theirs, image.flip(1) / 256 - 0.5).values()
        answer = model(image / 255)
    for found, wanted in ((answer["paf"][-1], paf), (answer["heatmap"][-1], heat)):
        torch.testing.assert_close(found, wanted, atol=1e-4 * wanted.abs().max().item(), rtol=0)
