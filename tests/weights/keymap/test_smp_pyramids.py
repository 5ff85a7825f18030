"""segmentation_models.pytorch's FPN, PSPNet and UPerNet: their weights, drawn at random, give their outputs here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from densepred.errors import UserError
from densepred.settings import WeightsSettings
from densepred.weights import pretrained
from densepred.weights.families import matching_families
from tests import cases
from tests.weights.keymap.test_segmentation import close, made, normalised, randomise

smp = pytest.importorskip("segmentation_models_pytorch", reason="a peer, of the extra `bench`")

Plain = Callable[..., dict[str, Any]]
CORNERS = "model.align_corners=true"
FPN = ("model=encoder_decoder", "decoder=semantic_fpn", "upsample=nearest", "decoder.smooth=false")
PSPNET = ("model=pspnet", "decoder.kernel=1", "decoder.align_corners=true", "decoder.image_norm=false")
WORDS = {
    "FPN": (*FPN, "decoder.align_corners=true", "decoder.width=32", CORNERS),
    "PSPNet": (*PSPNET, "decoder.width=16", "model.kernel=3", CORNERS),
    "UPerNet": ("model=upernet", "upsample=bilinear", "decoder.width=16", "decoder.level_norm=layer", CORNERS),
}
NARROW = {
    "FPN": {"decoder_pyramid_channels": 32},
    "PSPNet": {"psp_out_channels": 16},
    "UPerNet": {"decoder_channels": 16},
}
TIMM = ("encoder=timm", "encoder.name=resnet10t")
CASES = [
    ("FPN", "resnet18", {}, ("encoder=resnet18",)),
    ("FPN", "tu-resnet10t", {"decoder_merge_policy": "cat"}, (*TIMM, "decoder.merge=concatenate")),
    ("PSPNet", "resnet18", {}, ("encoder=resnet18", "encoder.levels=3")),
    ("PSPNet", "tu-resnet10t", {}, (*TIMM, "encoder.levels=3")),
    ("PSPNet", "resnet18", {"encoder_depth": 5, "upsampling": 32}, ("encoder=resnet18",)),
    ("UPerNet", "resnet18", {}, ("encoder=resnet18",)),
    ("UPerNet", "tu-resnet10t", {}, TIMM),
]
REFUSED = [
    ("FPN", ("upsample=bilinear",), "set upsample=nearest$"),
    ("FPN", ("decoder.align_corners=false",), "set decoder.align_corners=true$"),
    ("PSPNet", ("decoder.align_corners=false",), "set decoder.align_corners=true$"),
    ("PSPNet", ("decoder.image_norm=true",), r"5 tensors do not fit.*set decoder.image_norm=false, choose"),
    ("UPerNet", ("decoder.level_norm=none",), r"8 tensors do not fit.*set decoder.level_norm=layer, choose"),
    ("UPerNet", ("model.align_corners=false",), "set model.align_corners=true$"),
]


def peer(name: str, encoder: str, **more: Any) -> nn.Module:
    theirs = getattr(smp, name)(encoder, encoder_weights=None, classes=5, **NARROW[name], **more).eval()
    randomise(theirs)
    for part in theirs.modules():
        if isinstance(part, nn.GroupNorm | nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.5, 1.0)
            nn.init.uniform_(part.bias, -0.1, 0.1)
    return theirs


def saved(model: nn.Module, path: Path) -> str:
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return str(path)


@pytest.mark.parametrize("case", cases.few(CASES, [CASES[1], CASES[2], CASES[6]]))
def test_their_weights_give_their_outputs(plain: Plain, tmp_path: Path, case: tuple[Any, ...]) -> None:
    name, encoder, options, words = case
    theirs = peer(name, encoder, **options)
    assert matching_families(theirs.state_dict()) == [f"smp_{name.lower()}"]
    model = made(plain, 5, *WORDS[name], *words).eval()
    pretrained.load(model, WeightsSettings(model=saved(theirs, tmp_path / "a.safetensors")), {}, print)
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        want, have = theirs(normalised(image)), model(image)["semantic"][-1]
    close(F.interpolate(have, (64, 96), mode="bilinear", align_corners=True), want)


@pytest.mark.parametrize("case", cases.few(REFUSED, [REFUSED[0], REFUSED[3]]))
def test_other_settings_are_refused_with_those_to_type(plain: Plain, tmp_path: Path, case: tuple[Any, ...]) -> None:
    name, words, asked = case
    theirs = peer(name, "tu-resnet10t")
    levels = ("encoder.levels=3",) if name == "PSPNet" else ()
    model = made(plain, 5, *WORDS[name], *TIMM, *levels, *words)
    source = saved(theirs, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=asked):
        pretrained.load(model, WeightsSettings(model=source), {}, print)


def test_settings_of_the_file_are_named_where_its_weights_only_start_a_training(plain: Plain, tmp_path: Path) -> None:
    said = list[str]()
    model = made(plain, 5, *WORDS["FPN"], *TIMM, "upsample=bilinear")
    source = saved(peer("FPN", "tu-resnet10t"), tmp_path / "a.safetensors")
    pretrained.load(model, WeightsSettings(init=source), {}, said.append)
    assert "  these weights were trained with upsample=nearest" in said
