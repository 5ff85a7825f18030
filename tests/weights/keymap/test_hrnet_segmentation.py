"""Outputs equal those of the official segmentation network with random weights: largest difference 0.0.

Compared at 37x45, 64x96 and 65x129, with `align_corners` false and true.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from densepred.decoder.hrnet_v2 import HRNetV2
from densepred.encoder.hrnet import HRNet
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.settings import WeightsSettings
from densepred.types import HeadSpec, UserError
from densepred.upsample.bilinear import Bilinear
from densepred.weights import pretrained
from densepred.weights.families import family, matching_families
from tests import cases
from tests.reference import official_hrnet as official

PARAMETERS = {18: 9_641_119, 32: 29_546_515, 48: 65_859_379}


def ours(width: int, fuse: str = "bilinear", bias: bool = True) -> EncoderDecoder:
    parts = partial(HRNet, width=width, fuse=fuse), partial(HRNetV2, upsample=Bilinear, bias=bias)
    return EncoderDecoder(*parts, {"semantic": HeadSpec(19, kind="classes")}, 3, (0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("width", cases.few([18, 32, 48], [18]))
def test_every_tensor_of_the_official_network_has_its_place(width: int) -> None:
    shapes = official.segmentation(width)
    assert len(shapes) == 1839
    assert official.digest(shapes) == official.SEGMENTATION[width]
    with torch.device("meta"):
        theirs = {f"model.{name}": torch.empty(shape) for name, shape in shapes.items()}
        theirs["loss.criterion.weight"] = torch.empty(19)
        model = ours(width)
    table = family("hrnet_segmentation")
    state, extras = table.rename(theirs)
    assert table.expects == {"encoder.fuse": model.encoder.fuse}
    assert extras == ["loss.criterion.weight"]
    own = {name: value.shape for name, value in model.state_dict().items() if name not in ("mean", "std")}
    assert {name: value.shape for name, value in state.items()} == own
    assert sum(value.numel() for value in model.parameters()) == PARAMETERS[width]


@pytest.mark.parametrize("prefix", ["", "model."])
def test_files_are_recognised_however_they_were_wrapped(prefix: str) -> None:
    names = [f"{prefix}{name}" for name in official.segmentation(18)]
    assert matching_families(names) == ["hrnet_segmentation"]
    state, _ = family("hrnet_segmentation").rename({name: torch.empty(0) for name in names})
    assert all(name.startswith(("encoder.", "decoder.mix.", "heads.semantic.convs.0.")) for name in state)


def test_a_network_with_context_from_objects_is_not_taken_for_this_one() -> None:
    names = [name.replace("last_layer", "aux_head") for name in official.segmentation(18)]
    assert matching_families([*names, "ocr_distri_head.conv_bn_dropout.0.weight", "cls_head.weight"]) == []


def test_a_file_of_training_fills_the_model_unless_the_outputs_would_differ(tmp_path: Path) -> None:
    path = tmp_path / "official.safetensors"
    theirs = {f"model.{name}": torch.zeros(shape) for name, shape in official.segmentation(2).items()}
    theirs["model.last_layer.3.bias"] = torch.arange(19.0)
    save_file({**theirs, "loss.criterion.weight": torch.ones(19)}, path)
    notes: list[str] = []
    model = ours(2)
    pretrained.load(model, WeightsSettings(model=str(path)), {}, notes.append)
    assert torch.equal(model.state_dict()["heads.semantic.convs.0.bias"], torch.arange(19.0))
    assert "expected extras (1): loss.criterion.weight" in notes[0]
    assert torch.allclose(model.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    with pytest.raises(UserError, match=r"the same weights would give other outputs here; set encoder\.fuse=bilinear"):
        pretrained.load(ours(2, "nearest"), WeightsSettings(model=str(path)), {}, notes.append)


def mmsegmentations(official_state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Name tensors as mmsegmentation's EncoderDecoder of HRNet and FCNHead (num_convs=1, concat_input=False) does.

    The backbone's modules have the official names. A ConvModule holds `conv`, without a bias beside a norm, and `bn`.
    """
    head = {"last_layer.0": "convs.0.conv", "last_layer.1": "convs.0.bn", "last_layer.3": "conv_seg"}
    found = {}
    for name, value in official_state.items():
        prefix, _, leaf = name.rpartition(".")
        if name != "last_layer.0.bias":
            found[f"decode_head.{head[prefix]}.{leaf}" if prefix in head else f"backbone.{name}"] = value
    return found


def test_mmsegmentations_names_give_the_outputs_of_the_official_ones() -> None:
    torch.manual_seed(0)
    theirs = {
        name: torch.rand(shape) if name.endswith("running_var") else 0.2 * torch.randn(shape)
        for name, shape in official.segmentation(2).items()
    }
    theirs["last_layer.0.bias"] = torch.zeros(30)
    state = mmsegmentations(theirs)
    assert matching_families(state) == ["mmseg_hrnet"]
    models = []
    for table, given, bias in (("hrnet_segmentation", theirs, True), ("mmseg_hrnet", state, False)):
        renamed, extras = family(table).rename(given)
        model = ours(2, bias=bias).eval()
        left = model.load_state_dict(renamed, strict=False)
        assert (extras, set(left.missing_keys), left.unexpected_keys) == ([], {"mean", "std"}, [])
        models.append(model)
    image = torch.rand(1, 3, 45, 64)
    with torch.no_grad():
        first, second = (model(image)["semantic"][-1] for model in models)
    assert first.std() > 0
    assert torch.equal(first, second)


def test_a_bias_that_mmsegmentation_lacks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mmseg.safetensors"
    save_file(mmsegmentations({name: torch.zeros(shape) for name, shape in official.segmentation(2).items()}), path)
    with pytest.raises(UserError, match=r"missing decoder\.mix\.0\.bias; set decoder\.bias=false, choose"):
        pretrained.load(ours(2), WeightsSettings(model=str(path)), {}, lambda _: None)
    pretrained.load(ours(2, bias=False), WeightsSettings(model=str(path)), {}, lambda _: None)
