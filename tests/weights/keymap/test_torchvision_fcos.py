"""A file in the layout of torchvision's fcos_resnet50_fpn, with random weights, loads whole with equal outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models.detection import FCOS_ResNet50_FPN_Weights, fcos_resnet50_fpn
from torchvision.models.resnet import ResNet50_Weights
from torchvision.ops.misc import FrozenBatchNorm2d

from densepred.build.instantiate import build
from densepred.codec.fcos import FCOS
from densepred.contracts import Model
from densepred.errors import UserError
from densepred.settings import WeightsSettings
from densepred.types import Info
from densepred.weights import pretrained
from tests.weights.keymap.test_segmentation import MEAN, STD

COCO = Info(classes=tuple(FCOS_ResNet50_FPN_Weights.COCO_V1.meta["categories"]), provides=("boxes", "categories"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    """Build the model of the published weights: 91 classes and frozen norms, which have no counters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResNet50_Weights, "get_state_dict", lambda self, **more: _fresh())
        theirs = fcos_resnet50_fpn(weights=None, weights_backbone=ResNet50_Weights.IMAGENET1K_V1, num_classes=91)
    torch.manual_seed(0)
    for part in theirs.modules():
        if isinstance(part, FrozenBatchNorm2d):
            part.running_mean.uniform_(-0.1, 0.1)  # pyright: ignore
            part.running_var.uniform_(0.5, 1.5)  # pyright: ignore
    path = tmp_path_factory.mktemp("published") / "fcos.safetensors"
    save_file({name: value.clone() for name, value in theirs.state_dict().items()}, path)
    return theirs.eval(), path


def _fresh() -> dict[str, Tensor]:
    from torchvision.models import resnet50

    return resnet50().state_dict()


def made(plain: Callable[..., dict[str, Any]], info: Info, *words: str) -> Model:
    node = plain("task=detection_fcos", "model=fcos_resnet50", "metric=[]", *words)["model"]
    return build(node, heads=FCOS(info).heads, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3).eval()


def test_the_whole_file_is_taken_and_predicts_the_same(
    plain: Callable[..., dict[str, Any]], published: tuple[torch.nn.Module, Path]
) -> None:
    theirs, path = published
    model, said = made(plain, COCO), []
    pretrained.load(model, WeightsSettings(model=str(path)), {}, said.append)
    image = torch.rand(1, 3, 128, 256)
    normalised = (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.no_grad():
        answers = theirs.head(list(theirs.backbone(normalised).values()))  # pyright: ignore
        outputs = model(image)
    names = {"class": "cls_logits", "distances": "bbox_regression", "centerness": "bbox_ctrness"}
    for name, other in names.items():
        torch.testing.assert_close(outputs[name][0], answers[other].transpose(1, 2), rtol=1e-3, atol=1e-4)


def test_another_number_of_classes_takes_all_but_their_convolution(
    plain: Callable[..., dict[str, Any]], published: tuple[torch.nn.Module, Path]
) -> None:
    said: list[str] = []
    model = made(plain, Info(classes=("a", "b"), provides=("boxes", "categories")))
    pretrained.load(model, WeightsSettings(init=str(published[1])), {}, said.append)
    text = "\n".join(said)
    assert "conflicts (2): heads.class.weight" in text
    assert "unexpected" not in text


def test_a_model_that_would_predict_otherwise_is_refused(
    plain: Callable[..., dict[str, Any]], published: tuple[torch.nn.Module, Path]
) -> None:
    model = made(plain, COCO, "model.positive=exp")
    with pytest.raises(UserError, match=r"model\.positive=relu"):
        pretrained.load(model, WeightsSettings(model=str(published[1])), {}, lambda text: None)
