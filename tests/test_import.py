"""Weights of other programs become safetensors, and no code in their files runs."""

from __future__ import annotations

import json
import os
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from densepred.commands import import_
from densepred.errors import UserError
from tests import forked
from tests.conftest import composed


def convert(source: Path, output: Path, *words: str) -> dict[str, Tensor]:
    cfg = composed(f"input={source}", f"output={output}", *words, name="import")
    assert import_.convert(cfg) == 0
    return load_file(output)


@pytest.fixture(scope="module")
def resnet() -> dict[str, Tensor]:
    return torchvision.models.resnet18(weights=None).state_dict()


def test_a_wrapped_checkpoint_gives_its_tensors_alone(resnet: dict[str, Tensor], tmp_path: Path) -> None:
    wrapped = OrderedDict((f"module.{name}", value) for name, value in resnet.items())
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": 3, "state_dict": wrapped, "optimizer": optimizer}, tmp_path / "x.pth")
    found = convert(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert found.keys() == resnet.keys()
    assert all(torch.equal(found[name], value) for name, value in resnet.items())
    with safe_open(tmp_path / "x.safetensors", "pt") as file:
        origin = json.loads(file.metadata()["densepred_import"])
    assert origin["family"] == "torchvision_resnet"
    assert origin["file"] == "x.pth"


def test_of_several_sets_one_is_chosen_by_its_place(tmp_path: Path) -> None:
    torch.save({"a": {"w": torch.zeros(1)}, "b": {"ema": {"w": torch.ones(1)}}}, tmp_path / "x.pt")
    with pytest.raises(UserError, match=r"several sets of tensors: a, b\.ema; choose one by key"):
        convert(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert convert(tmp_path / "x.pt", tmp_path / "x.safetensors", "key=b.ema")["w"] == 1
    with pytest.raises(UserError, match=r"key=c: .* a, b\.ema"):
        convert(tmp_path / "x.pt", tmp_path / "y.safetensors", "key=c")


def test_tensors_that_share_memory_are_written_each(tmp_path: Path) -> None:
    both = torch.arange(4.0)
    torch.save({"a": both, "b": both[1:3]}, tmp_path / "x.pt")
    found = convert(tmp_path / "x.pt", tmp_path / "x.safetensors")
    assert found["a"].tolist() == [0, 1, 2, 3]
    assert found["b"].tolist() == [1, 2]


def test_the_old_format_of_torch_is_read(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    assert convert(tmp_path / "x.pth", tmp_path / "x.safetensors")["w"].tolist() == [1, 1]


class Evil:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/densepred_was_here",)


class Net(torch.nn.Linear):
    pass


REFUSED = {
    "code": ({"w": torch.zeros(1), "x": Evil()}, "cannot be opened safely"),
    "module": (Net(1, 1), "cannot be opened safely"),
    "no tensors": ({"epoch": 3}, "no mapping of names to tensors"),
    "one tensor": (torch.zeros(3), "no mapping of names to tensors"),
    "sparse": ({"w": torch.eye(3).to_sparse()}, "not a dense tensor"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_more_than_tensors_is_refused(name: str, tmp_path: Path) -> None:
    content, reason = REFUSED[name]
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(UserError, match=reason):
        convert(tmp_path / "x.pth", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()
    assert not Path("/tmp/densepred_was_here").exists()


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x02", b"hello" * 100], ids=["empty", "zip", "pickle", "text"]
)
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.pth: "):
        convert(tmp_path / "x.pth", tmp_path / "x.safetensors")


def test_an_image_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.pth").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match=r"a\.pth: is an image; densepred-predict"):
        convert(tmp_path / "a.pth", tmp_path / "b.safetensors")


def test_a_packed_archive_is_refused_before_it_is_read(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(100_000)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as old,
        zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    with pytest.raises(UserError, match="compressed archive"):
        convert(tmp_path / "x.pth", tmp_path / "x.safetensors")


def test_a_family_is_held_to_its_names(resnet: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(resnet, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"family=torchvision_vgg: .* looks like torchvision_resnet"):
        convert(tmp_path / "x.safetensors", tmp_path / "y.safetensors", "family=torchvision_vgg")
    with pytest.raises(UserError, match="did you mean torchvision_resnet"):
        convert(tmp_path / "x.safetensors", tmp_path / "y.safetensors", "family=torchvision_resnets")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "x.pth")
    (tmp_path / "x.safetensors").touch()
    with pytest.raises(UserError, match="exists already"):
        convert(tmp_path / "x.pth", tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"does not end in \.safetensors"):
        convert(tmp_path / "x.pth", tmp_path / "y.pth")


def test_the_command_prints_what_it_did(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "x.pth")
    code, out, err = forked.run("import_", "input=x.pth", "output=x.safetensors", folder=tmp_path)
    assert code == 0, err
    assert "1 tensors, 2 numbers, family unknown" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.pth", "x.safetensors"]
