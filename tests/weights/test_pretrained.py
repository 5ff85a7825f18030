"""Pretrained weights: those of our runs, those of other programs, and those that are refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from densepred.build.instantiate import build
from densepred.cli import compose
from densepred.contracts import Model
from densepred.errors import UserError
from densepred.jobs import training
from densepred.settings import WeightsSettings
from densepred.types import HeadSpec, Info
from densepred.weights import alike, pretrained
from densepred.weights.families import Family, families, matching_families
from densepred.weights.file import save_weights
from tests import running
from tests.conftest import composed

SMALL = ("dataset.size=[32,32]", "dataset.counts={train: 4, valid: 2, test: 1}", "data.batch_size=4")


def model(*words: str, channels: int = 3) -> Model:
    node = compose.settings(composed(*words)).model
    heads = {"semantic": HeadSpec(4, kind="classes")}
    return build(node, None, "model", heads=heads, channels=channels, mean=[0.5] * channels, std=[0.5] * channels)


def start(net: Model, node: dict[str, Any] | None = None, **wanted: str) -> list[str]:
    notes: list[str] = []
    heads = {"semantic": HeadSpec(4, kind="classes")}
    pretrained.load(net, WeightsSettings(**wanted), heads, notes.append, node=node)
    return notes


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    state = torchvision.models.resnet18(weights=None).state_dict()
    save_file({f"module.{name}": value for name, value in state.items()}, path)
    return path, state


def test_an_official_classifier_fills_an_encoder(classifier: tuple[Path, dict[str, Tensor]]) -> None:
    path, state = classifier
    net = model("encoder=resnet18")
    (*_, note) = notes = start(net, encoder=str(path))
    found = net.state_dict()
    own = [name for name in state if not name.startswith("fc.")]
    assert all(torch.equal(found[f"encoder.body.{name}"], state[name]) for name in own)
    assert f"{len(own)} of {len(own)} tensors loaded" in notes[0]
    assert "expected extras (2): fc.bias, fc.weight" in notes[0]
    assert "normalised as for torchvision ResNet" in note
    assert torch.allclose(found["mean"].flatten(), torch.tensor([0.485, 0.456, 0.406]))


def test_a_run_begins_with_an_official_encoder(classifier: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    words = ("encoder=resnet18", f"weights.encoder={classifier[0]}", "optimizer.lr=0", *SMALL)
    assert training.work(running.bare_job(tmp_path / "run", *words, "trainer.max_steps=1")) == 0
    found = running.weights(tmp_path / "run")
    assert torch.equal(found["encoder.body.layer4.1.conv2.weight"], classifier[1]["layer4.1.conv2.weight"])
    assert "weights from" in (tmp_path / "run" / "train.log").read_text()


def saved(path: Path, words: tuple[str, ...]) -> str:
    """A file as a run publishes it, of images with a mean of 0.75."""
    state, info = model(*words).state_dict(), Info(classes=("a", "b", "c", "d"))
    description = {"model": compose.settings(composed(*words)).model, "task": {}, "info": info.to_json()}
    save_weights(path, state | {"mean": state["mean"] + 0.25}, description)
    return str(path)


def test_settings_without_tensors_are_compared_with_those_of_the_run(tmp_path: Path) -> None:
    words = ("model=deeplabv3", "encoder=resnet18", "decoder.width=8")
    node = compose.settings(composed(*words, "encoder.output_stride=32")).model
    path = saved(tmp_path / "a.safetensors", (*words, "encoder.output_stride=8", "decoder.atrous_rates=[2,4,6]"))
    net = model(*words, "encoder.output_stride=32")
    both = "encoder.output_stride=8 decoder.atrous_rates=[2,4,6]"
    assert f"  these weights were trained with {both}" in start(net, node, init=path)
    notes = start(net, node, encoder=path)
    assert "  these weights were trained with encoder.output_stride=8" in notes
    with pytest.raises(UserError, match=rf"the same weights would give other outputs here; set {re.escape(both)}"):
        start(net, node, model=path)
    assert not alike.differing(node, {**node, "dropout": 0.9})


def test_the_encoder_of_a_run_comes_with_its_statistics(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", ("encoder.widths=[4,8]",))
    net = model("encoder.widths=[4,8]")
    notes = start(net, encoder=path)
    assert notes[-1] == "  images are normalised as for the run: mean [0.75, 0.75, 0.75], std [0.5, 0.5, 0.5]"
    assert net.state_dict()["mean"].flatten().tolist() == [0.75] * 3


def test_a_model_from_a_file_without_names_is_taken_in_order_with_a_line(tmp_path: Path) -> None:
    net = model("encoder.widths=[4,8]")
    save_file(dict(net.state_dict()), tmp_path / "a.safetensors")
    notes: list[str] = []
    heads = {"semantic": HeadSpec(4, kind="classes", names=("a", "b", "c", "d"))}
    wanted = WeightsSettings(model=str(tmp_path / "a.safetensors"))
    pretrained.load(net, wanted, heads, notes.append)
    assert "  the file names no channels of semantic: taken in the order of the file" in notes


def test_grey_images_keep_their_own_statistics(classifier: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    state = {**classifier[1], "conv1.weight": classifier[1]["conv1.weight"].sum(1, keepdim=True)}
    save_file(state, tmp_path / "grey.safetensors")
    net = model("encoder=resnet18", channels=1)
    start(net, encoder=str(tmp_path / "grey.safetensors"))
    assert net.state_dict()["mean"].tolist() == [[[0.5]]]


def test_the_weights_of_another_encoder_are_refused(classifier: tuple[Path, dict[str, Tensor]]) -> None:
    with pytest.raises(UserError, match=r"weights\.encoder=.*: \d+ of \d+ tensors .* choose the encoder"):
        start(model("encoder=resnet34"), encoder=str(classifier[0]))


def test_a_vgg_is_identified_by_its_names() -> None:
    for make in (torchvision.models.vgg16, torchvision.models.vgg16_bn):
        with torch.device("meta"):
            names = make(weights=None).state_dict().keys()
        assert matching_families(names) == ["torchvision_vgg"]


def test_an_official_vgg_fills_an_encoder(tmp_path: Path) -> None:
    features = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"], batch_norm=True)
    state = {f"features.{name}": value for name, value in features.state_dict().items()}
    save_file({**state, "classifier.6.weight": torch.zeros(1)}, tmp_path / "vgg.safetensors")
    net = model("encoder=vgg16")
    start(net, encoder=str(tmp_path / "vgg.safetensors"))
    assert torch.equal(net.state_dict()["encoder.body.features.0.weight"], state["features.0.weight"])


def test_every_table_has_what_a_table_must_have() -> None:
    assert {"torchvision_resnet", "torchvision_vgg"} <= families().keys()
    for family in families().values():
        assert family.name
        assert family.marks
        assert len(family.mean) == len(family.std)
        assert not family.matches([])


class Net(Model):
    """One head, and a setting that no tensor depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.align_corners = True
        self.heads = nn.ModuleDict({"semantic": nn.Conv2d(3, 4, 1)})
        self.register_buffer("mean", torch.zeros(3, 1, 1))
        self.register_buffer("std", torch.ones(3, 1, 1))

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {"semantic": [self.heads["semantic"](image)]}


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file of a family of its own."""
    rules = ((r"last\.(.*)", r"heads.semantic.\1"), (r"aux\..*", None))
    family = Family("Other", (r"last\.weight",), rules, {"align_corners": True}, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0))
    monkeypatch.setattr(pretrained, "families", lambda: {"other": family})
    state = {"last.weight": torch.rand(4, 3, 1, 1), "last.bias": torch.rand(4), "aux.weight": torch.zeros(1)}
    save_file(state, tmp_path / "other.safetensors")
    return tmp_path / "other.safetensors"


def test_a_whole_model_is_read_by_its_family(other: Path) -> None:
    net = Net()
    notes = start(net, model=str(other))
    assert "2 of 4 tensors loaded" in notes[0]
    assert "expected extras (1): aux.weight" in notes[0]
    assert net.state_dict()["std"].flatten().tolist() == [1, 2, 3]


def test_a_setting_that_would_change_the_outputs_is_refused(other: Path) -> None:
    net = Net()
    net.align_corners = False
    with pytest.raises(UserError, match=r"give other outputs here; set model\.align_corners=true"):
        start(net, model=str(other))


def test_a_file_for_other_classes_is_refused_whole_and_taken_in_part(other: Path) -> None:
    net = Net()
    net.heads["semantic"] = nn.Conv2d(3, 7, 1)
    with pytest.raises(UserError, match=r"2 tensors do not fit, the first is conflict heads\.semantic\.weight"):
        start(net, model=str(other))
    net = Net()
    net.heads["more"] = nn.Conv2d(3, 1, 1)
    assert "missing (4): heads.more.weight" in start(net, init=str(other))[0].replace("mean, std, ", "")


def test_a_pickle_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(UserError, match="densepred-import"):
        start(Net(), model=str(tmp_path / "x.pth"))


def test_fine_tuning_begins_with_the_weights_of_a_run(tmp_path: Path) -> None:
    running.train(tmp_path / "first", "trainer.max_steps=3")
    words = ("trainer.max_steps=1", "optimizer.lr=0", f"weights.init={tmp_path / 'first'}", "trainer.freeze=[encoder]")
    running.train(tmp_path / "second", *words)
    first, second = running.weights(tmp_path / "first", "best"), running.weights(tmp_path / "second")
    learned = [name for name in first if name.endswith("weight")]
    assert all(torch.equal(first[name], second[name]) for name in learned)


def test_a_file_that_fits_nowhere_is_refused(tmp_path: Path) -> None:
    save_file({"nothing": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"weights\.model=.*x\.safetensors"):
        running.train(tmp_path / "run", "trainer.max_steps=1", f"weights.model={tmp_path / 'x.safetensors'}")


def test_heads_that_begin_anew_have_a_reason() -> None:
    missing = ["heads.semantic.convs.0.weight", "heads.center.convs.0.weight", "decoder.weight"]
    state = {"heads.semantic.convs.0.weight": torch.zeros(1), "heads.offset.convs.0.weight": torch.zeros(1)}
    before, after = (
        {"semantic": ("road", "sky")},
        {"semantic": ("a", "b", "c", "d"), "center": (), "offset": ("y", "x")},
    )
    found = pretrained._new_heads(missing, state, before, after, {"options": {"task": "semantic"}})
    assert list(found) == [
        "  head semantic begins anew: none of its names (a, b, c, ...) is among the file's (road, sky)",
        "  head center begins anew: the file has none, as it is of task=semantic",
    ]
    other = {"semantic": ("sea", "sky", "snow", "land")}
    assert not list(pretrained._new_heads(missing[:1], state, before, other, {}))  # of equal name, and of another shape
