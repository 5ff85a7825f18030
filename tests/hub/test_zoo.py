"""The table of published weights, and weights by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model_weights, resnet

from densepred.encoder.resnet import ResNet
from densepred.errors import UserError
from densepred.hub import published, zoo
from densepred.settings import WeightsSettings
from densepred.weights import pretrained
from densepred.weights.families import families


@pytest.mark.parametrize("name", [name for name in zoo.entries() if name.startswith("torchvision:")])
def test_entries_of_torchvision_equal_its_own_table(name: str) -> None:
    entry, theirs = zoo.entries()[name], get_model_weights(name.partition(":")[2])["DEFAULT"]
    assert entry.url == theirs.url
    assert entry.sha256
    assert f"-{entry.sha256}.pth" in theirs.url
    (scores,) = theirs.meta["_metrics"].values()
    assert entry.score.startswith(f"mIoU {scores['miou']} ")


def test_every_entry_names_a_family_and_a_licence() -> None:
    for entry in zoo.entries().values():
        assert zoo.is_name(entry.name)
        assert entry.family in families()
        assert entry.licence
        assert entry.options
        assert entry.source


@pytest.mark.parametrize("entry", list(zoo.entries().values()), ids=lambda entry: entry.name)
def test_every_entry_has_the_form_of_its_hub_and_the_statistics_of_its_family(entry: zoo.Entry) -> None:
    hub, _, rest = entry.name.partition(":")
    if hub == "torchvision":
        assert entry.url == f"https://download.pytorch.org/models/{rest}_coco-{entry.sha256}.pth".replace(
            "lraspp_mobilenet_v3_large_coco", "lraspp_mobilenet_v3_large"
        )
    else:
        assert zoo.repository(entry.name) == rest
        assert not entry.url
        assert not entry.sha256  # the server tells it
    one = families()[entry.family]
    assert (entry.mean, entry.std) == (one.mean, one.std)
    assert entry.size is not None
    assert 0 < entry.size <= 1024
    assert entry.classes in ("voc", "ade20k", None)
    assert not entry.score or re.match(r"mIoU \d\d\.\d on (COCO val2017|ADE20K val)", entry.score)


def test_weights_come_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    state, asked = resnet.resnet18().state_dict(), list[str]()

    def address(url: str, sha256: str = "", otherwise: str = "") -> published.State:
        asked.append(url)
        return published.State(state, Path(url))

    monkeypatch.setattr(published, "from_address", address)
    model, said = torch.nn.Module(), list[str]()
    model.encoder = ResNet(3, 18)
    pretrained.load(model, WeightsSettings(encoder="torchvision:resnet18"), {}, said.append)  # pyright: ignore[reportArgumentType]
    assert asked == ["https://download.pytorch.org/models/resnet18-f37072fd.pth"]
    assert torch.equal(model.encoder.body.conv1.weight, state["conv1.weight"])
    assert "torchvision:resnet18" in said[0]


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("torchvision:resnet19", "torchvision has no such model; did you mean resnet18"),
        ("timm:resnet19", "timm has no such model; did you mean"),
        ("hf:nobody", "not a repository of Hugging Face; give hf:OWNER/NAME"),
        ("hf:a/../b", "not a repository"),
    ],
)
def test_names_that_mean_nothing_are_refused(name: str, fact: str) -> None:
    with pytest.raises(UserError, match=fact):
        zoo.state(name)


@pytest.mark.parametrize("text", ["runs/a", "C:/file", "hf:", "ftp:x"])
def test_paths_are_no_names(text: str) -> None:
    assert not zoo.is_name(text)
