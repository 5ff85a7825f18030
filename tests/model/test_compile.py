"""torch.compile: every network is one graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from densepred.cli import compose
from densepred.jobs import parts, placement
from densepred.types import Info
from tests.conftest import composed

NARROW = "encoder=plain encoder.widths=[4,8,8,8]"
MODELS = {
    "unet": f"model=unet {NARROW}",
    "attention_unet": f"model=attention_unet {NARROW}",
    "segnet": "model=segnet encoder.width=0.1",
    "autoencoder": "task=autoencoder model=autoencoder encoder.widths=[4,8]",
    "carafe": f"model=unet upsample=carafe {NARROW}",
    "unpool": f"model=unet upsample=unpool {NARROW}",
    "unet_first": "model=unet_first model.width=4 model.depth=2",
    "unetplusplus": f"model=unetplusplus {NARROW}",
    "timm": "model=unet encoder=timm encoder.name=mobilenetv3_small_050",
    "linear": "task=autoencoder model=linear_autoencoder",
    "residual": "task=autoencoder model=residual_autoencoder model.width=8",
    "fpn": "model=fpn encoder=resnet18",
    "fcn8s": "model=fcn8s encoder.width=0.1",
    "deeplabv3": "model=deeplabv3 encoder=resnet18",
    "deeplabv3plus": "model=deeplabv3plus encoder=resnet18",
    "pspnet": "model=pspnet encoder=resnet18",
    "upernet": "model=upernet encoder=resnet18",
    "segformer": "model=segformer",
    "hrnet": "model=hrnet encoder=hrnet_w18_small",
    "panoptic": "task=panoptic model=panoptic_deeplab_light",
    "fcos": "task=detection_fcos model=fcos_light",
    "center": "task=detection_center model=center_detection",
    "openpose": "task=openpose model=openpose_light",
    "pose": "task=pose model=hrnet_pose_small data.crop=[64,64]",
}
CHEAP = ("autoencoder",)
INFO = Info(
    classes=("a", "b", "c", "d"),
    things=(1, 2),
    keypoints=tuple("pqrst"),
    limbs=((0, 1), (1, 2), (2, 3)),
    provides=("semantic", "instances", "categories", "boxes", "keypoints", "areas", "crowd", "scores", "image"),
)


def cases() -> list[Any]:
    return [name if name in CHEAP else pytest.param(name, marks=pytest.mark.slow) for name in MODELS]


@pytest.mark.parametrize("name", cases())
def test_a_network_is_one_graph_in_training_and_one_in_evaluation(name: str) -> None:
    settings = compose.settings(composed(*MODELS[name].split(), "trainer.max_steps=1"))
    _, model = parts.task_and_model(settings.task, settings.model, INFO)
    graphs: list[int] = []

    def counting(module: torch.fx.GraphModule, example: object) -> Any:
        graphs.append(len(module.graph.nodes))
        return module.forward

    torch._dynamo.reset()
    counters.clear()
    model.compile(backend=counting)
    image = torch.rand(2, 3, 64, 96)
    for training in (True, False):
        model.train(training)
        outputs = model(image)
        torch.stack([stage.float().sum() for stages in outputs.values() for stage in stages]).sum().backward()
    torch._dynamo.reset()
    assert dict(counters["graph_break"]) == {}
    changing = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    differs = any(isinstance(part, changing) for part in model.modules())
    assert len(graphs) == (2 if differs else 1)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", [NARROW, "encoder=timm encoder.name=mobilenetv3_small_050"])
def test_checkpointing_compiles_as_one_graph_with_equal_numbers(encoder: str) -> None:
    """Norms count each batch once, although the compiled backward pass computes activations again."""
    runs: list[list[Tensor]] = []
    for words in ("", "trainer.checkpointing=true"):
        settings = compose.settings(composed("model=fpn", *encoder.split(), "trainer.max_steps=1", *words.split()))
        torch.manual_seed(0)
        _, model = parts.task_and_model(settings.task, settings.model, INFO)
        placement.placed(model, settings, torch.device("cpu"))
        torch._dynamo.reset()
        counters.clear()
        model.compile(backend="aot_eager")
        torch.manual_seed(1)
        outputs = model(torch.rand(2, 3, 64, 96))
        torch.stack([stage.square().mean() for stages in outputs.values() for stage in stages]).sum().backward()
        assert dict(counters["graph_break"]) == {}
        runs.append([weight.grad for weight in model.parameters() if weight.grad is not None] + [*model.buffers()])
    torch._dynamo.reset()
    assert len(runs[0]) > 10
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
