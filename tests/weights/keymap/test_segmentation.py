"""Segmentation models of other programs, with random weights, have the outputs of ours with the renamed weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.segmentation import (
    DeepLabV3_ResNet50_Weights,
    DeepLabV3_ResNet101_Weights,
    FCN_ResNet50_Weights,
    FCN_ResNet101_Weights,
)

from densepred.build.instantiate import build
from densepred.contracts import Model
from densepred.errors import UserError
from densepred.settings import WeightsSettings
from densepred.types import HeadSpec
from densepred.weights import pretrained
from densepred.weights.families import family, matching_families
from tests import cases

Plain = Callable[..., dict[str, Any]]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PUBLISHED = {
    "fcn_resnet50": FCN_ResNet50_Weights,
    "fcn_resnet101": FCN_ResNet101_Weights,
    "deeplabv3_resnet50": DeepLabV3_ResNet50_Weights,
    "deeplabv3_resnet101": DeepLabV3_ResNet101_Weights,
}


def made(plain: Plain, classes: int, *words: str) -> Model:
    node = plain(*words)["model"]
    heads = {"semantic": HeadSpec(classes, kind="classes")}
    return build(node, heads=heads, channels=3, mean=MEAN, std=STD)


def randomise(model: nn.Module) -> None:
    """Draw norms and biases: fresh norms would hide a misplaced one, and zeros a misplaced path."""
    torch.manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.1, 0.1)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(part.running_var, 0.5, 1.5)  # pyright: ignore[reportArgumentType]
            nn.init.uniform_(part.weight, 0.5, 1.0)
            nn.init.uniform_(part.bias, -0.1, 0.1)


def take(model: Model, state: Mapping[str, Tensor], table: str) -> None:
    """Check that each tensor of the file has its place, and fills all of ours except the statistics."""
    assert matching_families(state) == [table]
    ours, extras = family(table).rename(state)
    assert not extras
    left = model.load_state_dict(ours, strict=False)
    assert set(left.missing_keys) == {"mean", "std"}
    assert not left.unexpected_keys


def normalised(image: Tensor) -> Tensor:
    return (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def close(have: Tensor, want: Tensor) -> None:
    assert have.shape == want.shape
    assert (have - want).abs().max() <= 1e-5 * want.abs().max()


@pytest.mark.parametrize("name", PUBLISHED)
def test_it_has_torchvisions_parameters(plain: Plain, name: str) -> None:
    with torch.device("meta"):
        model = made(plain, 21, f"model={name}")
    published = PUBLISHED[name].DEFAULT.meta["num_params"]
    assert sum(value.numel() for value in model.parameters()) == published


@pytest.mark.parametrize("name", cases.few([name for name in PUBLISHED if name.endswith("50")], ["deeplabv3_resnet50"]))
def test_it_predicts_as_torchvision(plain: Plain, name: str) -> None:
    equals_torchvision(plain, name, (65, 83))


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("size", [(65, 83), (37, 45), (96, 130)])
def test_every_depth_predicts_as_torchvision(plain: Plain, name: str, size: tuple[int, int]) -> None:
    equals_torchvision(plain, name, size)


def equals_torchvision(plain: Plain, name: str, size: tuple[int, int]) -> None:
    theirs = get_model(name, weights=None, weights_backbone=None, num_classes=5, aux_loss=True).eval()
    randomise(theirs)
    model = made(plain, 5, f"model={name}").eval()
    take(model, theirs.state_dict(), "torchvision_fcn" if name.startswith("fcn") else "torchvision_deeplabv3")
    image = torch.rand(1, 3, *size)
    with torch.no_grad():
        want = theirs(normalised(image))
        model.training = True  # of the whole alone, which returns the auxiliary stage then
        stages = model(image)["semantic"]
    assert len(stages) == 2
    for stage, key in zip(stages, ("aux", "out"), strict=True):
        close(F.interpolate(stage, size, mode="bilinear", align_corners=model.align_corners), want[key])


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("encoder.output_stride=16",), "set encoder.output_stride=8"),
        (("encoder.multi_grid=[1,1,1]",), "set encoder.multi_grid=null"),
        (("decoder.atrous_rates=[3,6,9]",), r"set decoder.atrous_rates=\[6, 12, 18\]"),
        (("model.align_corners=true",), "set model.align_corners=false"),
    ],
)
def test_what_would_load_and_predict_otherwise_is_refused(
    plain: Plain, tmp_path: Path, words: tuple[str, ...], asked: str
) -> None:
    """Check the settings only; any tensors with the names of the family will do."""
    small = ("encoder.depth=18", "decoder.width=4")
    model = made(plain, 2, "model=deeplabv3_resnet50", *small, *words)
    table = family("torchvision_deeplabv3")
    theirs = {back(name): value for name, value in model.state_dict().items() if name not in ("mean", "std")}
    assert table.rename(theirs)[0].keys() == model.state_dict().keys() - {"mean", "std"}
    save_file({name: value.contiguous() for name, value in theirs.items()}, tmp_path / "file.safetensors")
    with pytest.raises(UserError, match=asked):
        pretrained.load(model, WeightsSettings(model=str(tmp_path / "file.safetensors")), {}, lambda line: None)


def back(name: str) -> str:
    """Return torchvision's name for one of ours."""
    pairs = {
        "encoder.body.": "backbone.",
        "decoder.aspp.": "classifier.0.",
        "decoder.mix.0.": "classifier.1.",
        "decoder.mix.1.": "classifier.2.",
        "heads.semantic.convs.0.": "classifier.4.",
        "auxiliary_decoder.conv.": "aux_classifier.",
        "auxiliary_heads.semantic.convs.0.": "aux_classifier.4.",
    }
    prefix = next(prefix for prefix in pairs if name.startswith(prefix))
    return pairs[prefix] + name.removeprefix(prefix)


def test_lraspp_predicts_as_torchvision(plain: Plain, tmp_path: Path) -> None:
    """Odd sizes too; `model.align_corners` and three other settings must be those of the file."""
    theirs = get_model("lraspp_mobilenet_v3_large", weights=None, weights_backbone=None, num_classes=5).eval()
    randomise(theirs)
    model = made(plain, 5, "model=lraspp_mobilenet_v3_large").eval()
    count = [sum(value.numel() for value in one.parameters()) for one in (theirs, model)]
    assert count[0] - count[1] == 5  # two biases of each class are one here
    take(model, theirs.state_dict(), "torchvision_lraspp")
    image = torch.rand(1, 3, 65, 83)
    with torch.no_grad():
        want, have = theirs(normalised(image))["out"], model(image)["semantic"][-1]
    close(F.interpolate(have, (65, 83), mode="bilinear", align_corners=model.align_corners), want)
    other = made(plain, 5, "model=lraspp_mobilenet_v3_large", "encoder.output_stride=32", "encoder.level_blocks=last")
    missing = pretrained.settings_missing(other, family("torchvision_lraspp"))
    assert missing == ["encoder.output_stride=16", "encoder.level_blocks=first"]


SMP = ("upsample=bilinear_corners", "model.align_corners=true", "encoder.multi_grid=[1,1,1]")
SMP_HEAD = ("decoder.separable=true", "decoder.between=false", "decoder.mix=true", "decoder.convs=1")


@pytest.mark.parametrize(("output_stride", "rates"), [(16, "[12,24,36]"), (8, "[6,12,18]")])
def test_it_predicts_as_segmentation_models_pytorch(plain: Plain, output_stride: int, rates: str) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    options = {"encoder_weights": None, "classes": 5, "encoder_output_stride": output_stride}
    theirs = smp.DeepLabV3Plus("resnet34", **options).eval()
    randomise(theirs)
    words = ("model=deeplabv3plus", "encoder=resnet34", f"encoder.output_stride={output_stride}")
    model = made(plain, 5, *words, f"decoder.atrous_rates={rates}", *SMP, *SMP_HEAD).eval()
    take(model, theirs.state_dict(), "smp_deeplabv3plus")
    image = torch.rand(2, 3, 80, 112)  # smp refuses sizes that are not multiples of 16
    with torch.no_grad():
        want, have = theirs(normalised(image)), model(image)["semantic"][-1]
    close(F.interpolate(have, (80, 112), mode="bilinear", align_corners=model.align_corners), want)


@pytest.mark.parametrize(("output_stride", "rates"), [(8, "[6,12,18]"), (16, "[12,24,36]")])
def test_deeplabv3_predicts_as_that_of_segmentation_models_pytorch(
    plain: Plain, output_stride: int, rates: str
) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    theirs = smp.DeepLabV3("resnet18", encoder_weights=None, classes=5, encoder_output_stride=output_stride).eval()
    randomise(theirs)
    words = ("model=deeplabv3", "encoder=resnet18", f"encoder.output_stride={output_stride}", *SMP[1:])
    model = made(plain, 5, *words, f"decoder.atrous_rates={rates}").eval()
    take(model, theirs.state_dict(), "smp_deeplabv3")
    image = torch.rand(1, 3, 64, 80)
    with torch.no_grad():
        want, have = theirs(normalised(image)), model(image)["semantic"][-1]
    close(F.interpolate(have, (64, 80), mode="bilinear", align_corners=model.align_corners), want)
