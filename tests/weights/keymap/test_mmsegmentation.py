"""mmsegmentation's SegFormer and DeepLabV3, written anew, have the outputs of ours with their renamed weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from densepred.encoder.mit import MixTransformer
from densepred.errors import UserError
from densepred.settings import WeightsSettings
from densepred.weights import pretrained
from densepred.weights.families import family, matching_families
from tests.reference import mmseg_networks as mmseg
from tests.weights.keymap.test_segmentation import close, made, normalised, randomise

Plain = Callable[..., dict[str, Any]]
SEGFORMER = ("model=segformer", "encoder.depths=[1,2,1,1]", "decoder.width=16")
DEEPLABV3 = ("model=deeplabv3_resnet50", "encoder.stem=[32,32,64]", "decoder.width=16")


def segformer() -> mmseg.Segformer:
    theirs = mmseg.Segformer((1, 2, 1, 1), 16, 5).eval()
    randomise(theirs)
    for name, value in theirs.named_parameters():
        if value.ndim == 1 and "norm" in name:  # a swapped norm would not show while all are alike
            torch.nn.init.uniform_(value, 0.5, 1.5)
    return theirs


def test_segformer_predicts_as_theirs(plain: Plain, tmp_path: Path) -> None:
    theirs, path = segformer(), tmp_path / "a.safetensors"
    assert matching_families(theirs.state_dict()) == ["mmseg_segformer"]
    save_file(theirs.state_dict(), path)
    model = made(plain, 5, *SEGFORMER, "decoder.linear_norm=true").eval()
    pretrained.load(model, WeightsSettings(model=str(path)), {}, print)
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        want, (have,) = theirs(normalised(image)), model(image)["semantic"]
    assert have.shape == want.shape
    assert (have - want).abs().max() <= 1e-4 * want.abs().max()  # their epsilon is another one in some norms
    plain_model = made(plain, 5, *SEGFORMER)
    with pytest.raises(UserError, match=r"set decoder\.linear_norm=true, choose"):
        pretrained.load(plain_model, WeightsSettings(model=str(path)), {}, print)


def test_their_encoder_alone_fills_ours(tmp_path: Path) -> None:
    state = segformer().backbone.state_dict()
    assert matching_families(state) == ["mmseg_segformer"]
    encoder = MixTransformer(3, depths=(1, 2, 1, 1))
    save_file(state, tmp_path / "a.safetensors")
    model, said = torch.nn.Module(), list[str]()
    model.encoder = encoder
    source = WeightsSettings(encoder=str(tmp_path / "a.safetensors"))
    pretrained.load(model, source, {}, said.append)  # pyright: ignore[reportArgumentType]
    assert f"{len(encoder.state_dict())} of {len(encoder.state_dict())} tensors loaded" in said[0]


@pytest.mark.slow
def test_deeplabv3_predicts_as_theirs(plain: Plain, tmp_path: Path) -> None:
    theirs, path = mmseg.DeepLabV3(16, 5).eval(), tmp_path / "a.safetensors"
    randomise(theirs)
    state = theirs.published()
    assert matching_families(state) == ["mmseg_deeplabv3"]
    save_file(state, path)
    model = made(plain, 5, *DEEPLABV3, "decoder.kernel=3", "decoder.mix=false").eval()
    pretrained.load(model, WeightsSettings(model=str(path)), {}, print)
    image = torch.rand(1, 3, 48, 64)
    with torch.no_grad():
        want = theirs(normalised(image))
        (predicted,) = model(image)["semantic"]
        model.training = True  # of the whole alone, which returns the auxiliary stage then
        stages = model(image)["semantic"]
    close(predicted, want[-1])
    for mine, peer in zip(stages, want, strict=True):
        close(mine, peer)


def test_deeplabv3plus_is_not_taken_for_it() -> None:
    names = ["backbone.stem.0.weight", "decode_head.image_pool.1.conv.weight", "decode_head.bottleneck.conv.weight"]
    separable = "decode_head.aspp_modules.1.depthwise_conv.conv.weight"
    assert matching_families([*names, separable]) == []
    assert not family("mmseg_deeplabv3").matches(names)
