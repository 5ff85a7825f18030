"""Panoptic-DeepLab of its authors' program, written anew, has the outputs of ours with its renamed weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from densepred.build.instantiate import build
from densepred.contracts import Model
from densepred.errors import UserError
from densepred.settings import WeightsSettings
from densepred.types import HeadSpec
from densepred.weights import pretrained
from densepred.weights.families import matching_families
from tests.reference.panoptic_deeplab_network import PanopticDeepLab
from tests.weights.keymap.test_segmentation import MEAN, STD, normalised, randomise

Plain = Callable[..., dict[str, Any]]
SMALL = ("encoder.depth=18", "encoder.output_stride=32", "upsample=bilinear_corners", "model.align_corners=true")
CLASSES = ("decoder.width=16", "decoder.pyramid_width=16", "decoder.low_widths=[16,8,4]", "model.head_width=16")
VALUES = ("width=8", "pyramid_width=16", "low_widths=[8,4,2]", "image_norm=false")
WORDS = (*SMALL, *CLASSES, *(f"model.value_decoder.{word}" for word in VALUES), "model.value_head_width=8")


def made(plain: Plain, *words: str) -> Model:
    node = plain("task=panoptic", "model=panoptic_deeplab", *WORDS, *words)["model"]
    heads = {"semantic": HeadSpec(5, kind="classes"), "center": HeadSpec(1), "offset": HeadSpec(2)}
    return build(node, heads=heads, channels=3, mean=MEAN, std=STD).eval()


def test_other_settings_of_values_are_refused(plain: Plain, tmp_path: Path) -> None:
    save_file(PanopticDeepLab(5, 16).state_dict(), tmp_path / "a.safetensors")
    model = made(plain, "decoder.image_norm=false", "model.value_decoder.atrous_rates=[3,6,9]")
    with pytest.raises(UserError, match=r"set model\.value_decoder\.atrous_rates=\[6, 12, 18\]"):
        pretrained.load(model, WeightsSettings(model=str(tmp_path / "a.safetensors")), {}, print)


def test_it_predicts_as_theirs(plain: Plain, tmp_path: Path) -> None:
    theirs, path = PanopticDeepLab(5, 16).eval(), tmp_path / "a.safetensors"
    randomise(theirs)
    assert matching_families(theirs.state_dict()) == ["panoptic_deeplab"]
    save_file(theirs.state_dict(), path)
    model = made(plain, "decoder.image_norm=false")
    pretrained.load(model, WeightsSettings(model=str(path)), {}, print)
    image = torch.rand(1, 3, 65, 97)
    with torch.no_grad():
        want, have = theirs(normalised(image)), model(image)
    want["offset"] = want["offset"].flip(1)
    for name, peer in want.items():
        mine = F.interpolate(have[name][-1], (65, 97), mode="bilinear", align_corners=True)
        assert peer.std() > 0
        assert (mine - peer).abs().max() <= 1e-5 * peer.abs().max(), name
    with pytest.raises(UserError, match=r"set decoder\.image_norm=false, choose"):
        pretrained.load(made(plain), WeightsSettings(model=str(path)), {}, print)
