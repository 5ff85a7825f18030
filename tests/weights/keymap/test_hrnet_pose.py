"""Outputs equal those of the official pose network, recorded with random weights at 96x64."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from densepred.decoder.hrnet_v1 import HRNetV1
from densepred.encoder.hrnet import HRNet
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.types import HeadSpec
from densepred.weights.families import family, matching_families
from tests import cases
from tests.reference import official_hrnet as official

PARAMETERS = {18: 9_318_215, 32: 28_536_113, 48: 63_595_745}


@pytest.mark.parametrize("width", cases.few([18, 32, 48], [32]))
def test_every_tensor_of_the_official_network_has_its_place(width: int) -> None:
    shapes = official.pose(width)
    assert len(shapes) == 1754
    assert official.digest(shapes) == official.POSE[width]
    assert matching_families(shapes) == ["hrnet_pose"]
    with torch.device("meta"):
        theirs = {name: torch.empty(shape) for name, shape in shapes.items()}
        encoder = partial(HRNet, width=width, fuse="nearest", single=True)
        model = EncoderDecoder(encoder, HRNetV1, {"heatmap": HeadSpec(17)}, 3, (0.0,) * 3, (1.0,) * 3)
    table = family("hrnet_pose")
    state, extras = table.rename(theirs)
    assert table.expects == {"encoder.fuse": model.encoder.fuse, "encoder.single": model.encoder.single}
    assert not extras
    own = {name: value.shape for name, value in model.state_dict().items() if name not in ("mean", "std")}
    assert {name: value.shape for name, value in state.items()} == own
    assert sum(value.numel() for value in model.parameters()) == PARAMETERS[width]


@pytest.mark.parametrize("head", ["keypoint_head", "head"])
def test_mmposes_names_give_the_tensors_of_the_official_ones(head: str) -> None:
    """mmpose's HRNet has the official modules below `backbone.`, and the last layer in the head."""
    shapes = official.pose(32)
    theirs = {name: torch.full((), float(number)) for number, name in enumerate(shapes)}
    mmpose = {(f"{head}." if name.startswith("final_layer") else "backbone.") + name: x for name, x in theirs.items()}
    assert matching_families(mmpose) == ["mmpose_hrnet"]
    table, reference = family("mmpose_hrnet"), family("hrnet_pose")
    state, extras = table.rename(mmpose)
    assert not extras
    assert state == reference.rename(theirs)[0]
    assert (table.expects, table.mean, table.std) == (reference.expects, reference.mean, reference.std)
