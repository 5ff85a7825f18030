"""Outputs of exported files, without a file: class maps, names, and the way back to heads."""

from __future__ import annotations

import math
import warnings
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from densepred.codec.semantic import Semantic
from densepred.errors import Notice, UserError
from densepred.exporting import network, parity, runtime
from densepred.nn import ceil_div
from densepred.ops.geometry.pad import crop, pad, repeated
from densepred.ops.resize.resample import resize
from densepred.types import Frame, HeadSpec, Info

HEADS = {"semantic": HeadSpec(3, kind="classes"), "offset": HeadSpec(2)}


class Small(nn.Module):
    """A model with coarse logits, and a head of values."""

    align_corners = False

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, classes, 4, 4)

    def forward(self, image: torch.Tensor) -> dict[str, list[torch.Tensor]]:
        return {"semantic": [self.conv(image)], "offset": [image[:, :2]]}


def test_class_map_and_probabilities_are_those_that_the_task_decodes() -> None:
    torch.manual_seed(0)
    model, image = Small(), torch.rand(2, 3, 19, 27)
    made = network.Network(model, HEADS, labels=True, probabilities=True)  # type: ignore[arg-type]
    labels, probabilities, offset = made(image)
    assert made.names == ["labels", "probabilities", "offset"]
    codec = Semantic(Info(classes=("a", "b", "c")))
    frames = [Frame("x", (19, 27))] * 2
    want = codec.decode({"semantic": model(image)["semantic"][0]}, frames, False, probabilities=True)
    for index, one in enumerate(want):
        assert one.semantic is not None
        assert one.probabilities is not None
        assert torch.equal(labels[index], one.semantic)
        assert torch.allclose(probabilities[index], one.probabilities)
    assert torch.equal(offset, image[:, :2])


@pytest.mark.parametrize("channels", [1, 3])
def test_labels_and_probabilities_become_heads_with_the_same_classes(channels: int) -> None:
    torch.manual_seed(1)
    spec = {"semantic": HeadSpec(channels, kind="classes")}
    logits = torch.randn(2, channels, 5, 7)
    full = torch.cat([torch.zeros_like(logits), logits], 1) if channels == 1 else logits
    for outputs in ({"labels": full.argmax(1).to(torch.uint8)}, {"probabilities": full.softmax(1)}):
        found = network.heads_of(outputs, spec)["semantic"]
        assert found.shape == logits.shape
        back = torch.cat([torch.zeros_like(found), found], 1) if channels == 1 else found
        assert torch.equal(back.argmax(1), full.argmax(1))
        if "probabilities" in outputs:
            assert torch.allclose(back.softmax(1), full.softmax(1), atol=1e-6)


def test_probabilities_of_a_file_of_ids_are_refused_and_its_votes_told() -> None:
    def of(*names: str) -> runtime.RuntimeModel:
        made = SimpleNamespace(path="m.onnx", names=names)
        return runtime.RuntimeModel(made, HEADS, False)  # type: ignore[arg-type]

    with pytest.raises(UserError, match=r"m\.onnx holds class ids alone \(argmax=true\); export its run with"):
        runtime.check_probabilities(of("labels", "offset"), True)
    with pytest.warns(Notice, match="flip: ids are counted as votes, and scores of instances ignore the probability"):
        runtime.tell_votes(of("labels", "offset"), ["flip"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", Notice)
        runtime.check_probabilities(of("labels", "offset"), False)
        for names in (("labels", "probabilities", "offset"), ("semantic", "offset")):
            runtime.check_probabilities(of(*names), True)
            runtime.tell_votes(of(*names), ["flip"])


def test_a_model_without_classes_has_no_class_map() -> None:
    with pytest.raises(UserError, match=r"argmax=true: the heads of this model .offset. hold no class map"):
        network.Network(Small(), {"offset": HeadSpec(2)}, labels=True)  # type: ignore[arg-type]


def test_heads_named_like_keywords_are_registered_under_other_names() -> None:
    """`class` is the head of FCOS; torch.export writes code with the names of modules."""
    model = nn.Module()
    model.heads = nn.ModuleDict({"class": nn.Linear(2, 1), "distances": nn.Linear(2, 1)})
    before = dict(model.heads.items())
    network.rename_keywords(model)
    assert [name for name, _ in model.named_parameters()] == [
        *("heads.class_.weight", "heads.class_.bias", "heads.distances.weight", "heads.distances.bias"),
    ]
    assert dict(model.heads.items()) == before
    assert model.heads["class"] is before["class"]
    assert "class" in model.heads
    assert list(model.heads.keys()) == ["class", "distances"]


def row(want: torch.Tensor, have: torch.Tensor) -> parity.Row:
    return parity.compare({"semantic": want}, {"semantic": have}, HEADS, 1e-3, "random", (1, 2, 2))


@pytest.mark.parametrize("broken", ["semantic", "offset"])
def test_parity_fails_if_any_output_is_nan(broken: str) -> None:
    want = {"semantic": torch.ones(1, 3, 2, 2), "offset": torch.ones(1, 2, 2, 2)}
    have = {**want, broken: want[broken].clone()}
    have[broken][0, 0, 0, 0] = math.nan
    found = parity.compare(want, have, HEADS, 1e-3, "random", (1, 2, 2))
    assert not found.passed
    assert math.isnan(found.difference)


def test_parity_fails_by_difference_by_class_by_shape_and_by_nan() -> None:
    same = torch.tensor([[5.0, 1.0], [0.0, 2.0], [1.0, 0.0]]).view(1, 3, 1, 2)
    assert row(same, same + 0.004).passed  # of 5: the limit is 0.005
    assert not row(same, same + 0.006).passed
    near = same.clone()
    near[0, :, 0, 1] = torch.tensor([2.0, 1.999, 0.0])
    far = near.clone()
    far[0, 1, 0, 1] = 2.001
    assert row(near, far).agreement == 0.5
    assert not row(near, far).passed
    assert not row(same, same[..., :1]).passed
    assert not row(same, torch.full_like(same, math.nan)).passed


def test_rounding_up_without_negative_numbers() -> None:
    assert all(
        ceil_div(length, stride) == math.ceil(length / stride) for length in range(1, 70) for stride in (1, 2, 8)
    )


@pytest.mark.parametrize("length", [3, 5, 6])
def test_repeating_the_last_row_is_padding_by_replication_or_a_crop(length: int) -> None:
    x = torch.rand(1, 2, 5, 3)
    want = F.pad(x, (0, 0, 0, length - 5), mode="replicate") if length > 5 else x[..., :length, :]
    assert torch.equal(repeated(x, -2, length), want)


class Meeting(nn.Module):
    """Maps pooled by rounding down meet one by rounding up: at even sizes there is nothing to pad and to resize."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        down, up = F.max_pool2d(x, 2), F.avg_pool2d(x, 2, ceil_mode=True)
        size = (up.shape[-2], up.shape[-1])
        return up + resize(down, size) + crop(pad(down, size, 1), *size)


def test_a_program_traced_at_even_sizes_runs_at_odd_ones() -> None:
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    exported = torch.export.export(
        Meeting(),
        (torch.rand(1, 1, 8, 12),),
        dynamic_shapes=(free,),
        strict=False,
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    for size in ((8, 12), (9, 12), (11, 7)):
        x = torch.rand(1, 1, *size)
        assert torch.equal(exported.module()(x), Meeting()(x))


def test_a_head_named_like_the_input_has_another_name_in_the_file() -> None:
    """Autoencoders reconstruct `image`."""

    class Same(nn.Module):
        align_corners = False

        def forward(self, image: torch.Tensor) -> dict[str, list[torch.Tensor]]:
            return {"image": [image]}

    heads = {"image": HeadSpec(3)}
    made = network.Network(Same(), heads)  # type: ignore[arg-type]
    assert made.names == ["image_output"]
    x = torch.rand(1, 3, 4, 5)
    assert torch.equal(network.heads_of({"image_output": x}, heads)["image"], x)
    assert parity.compare({"image_output": x}, {"image_output": x}, heads, 1e-3, "random", x.shape).passed
