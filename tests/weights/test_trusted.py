"""A line names packages that are trusted and that no checkpoint names."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from densepred.errors import Notice
from densepred.weights import trusted
from densepred.weights.file import save_weights

INFO = {"classes": ["a", "b"]}


def weights(folder: Path, name: str, target: str) -> Path:
    path = folder / f"{name}.safetensors"
    save_weights(path, {}, {"model": {"encoder": {"_target_": target}}, "task": {}, "info": INFO})
    return path


def test_packages_that_no_checkpoint_names_get_a_line(tmp_path: Path) -> None:
    own = weights(tmp_path, "own", "mynet.encoder.Encoder")
    plain = weights(tmp_path, "plain", "densepred.encoder.plain.Plain")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trusted.tell([own], ["mynet"])
        trusted.tell([plain, own], ["mynet.encoder"])
        trusted.tell([plain], [])
        trusted.tell(["gone.safetensors"], [])
    for package in ("mynet", "my"):
        with pytest.warns(Notice, match=rf"trust=\[{package}\]: has no effect: the checkpoint names nothing"):
            trusted.tell([plain] if package == "mynet" else [own], [package])
    exported = tmp_path / "net.pt2"
    exported.touch()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trusted.tell([exported], ["torch.export"])
