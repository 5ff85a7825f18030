"""Weights from elsewhere: what fits is taken, classes are matched by name, and what is left is listed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from densepred.errors import UserError
from densepred.transfer import transfer, transfer_encoder
from tests import running


class Net(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.heads = nn.ModuleDict({"semantic": nn.Conv2d(4, classes, 1)})


def test_rows_of_the_head_follow_the_names_of_the_classes() -> None:
    old, new = Net(3), Net(4)
    fresh = new.heads["semantic"].weight.clone()
    coverage = transfer(new, old.state_dict(), ("sky", "road", "car"), ("car", "tree", "road", "sky"))
    then, now = old.heads["semantic"].weight, new.heads["semantic"].weight
    assert torch.equal(now[0], then[2])
    assert torch.equal(now[1], fresh[1])
    assert torch.equal(now[2], then[1])
    assert torch.equal(now[3], then[0])
    assert len(coverage.by_class) == 2
    assert "3 of 4 classes" in coverage.text("x")
    assert torch.equal(new.body.weight, old.body.weight)


def test_equal_counts_with_another_order_are_reordered_too() -> None:
    old, new = Net(2), Net(2)
    transfer(new, old.state_dict(), ("a", "b"), ("b", "a"))
    assert torch.equal(new.heads["semantic"].weight, old.heads["semantic"].weight.flip(0))


def test_what_does_not_fit_is_listed() -> None:
    state = Net(2).state_dict()
    state["body.weight"] = torch.zeros(5, 3, 3, 3)
    state["extra"] = state.pop("body.bias")
    coverage = transfer(Net(2), state, ("a", "b"), ("a", "b"))
    assert coverage.missing == ["body.bias"]
    assert coverage.unexpected == ["extra"]
    assert coverage.conflicts == ["body.weight (5, 3, 3, 3) -> (4, 3, 3, 3)"]


def test_an_official_classifier_fills_an_encoder(tmp_path: Path) -> None:
    official = torchvision.models.resnet18(weights=None)
    save_file(official.state_dict(), tmp_path / "resnet18.safetensors")
    words = ("encoder=resnet18", f"weights.encoder={tmp_path / 'resnet18.safetensors'}", "optimizer.lr=0")
    from densepred import session

    small = ("dataset.size=[32,32]", "dataset.counts={train: 4, valid: 2, test: 1}", "data.batch_size=4")
    job = running.bare_job(tmp_path / "run", *words, *small, "trainer.max_steps=1", "trainer.pictures=0")
    assert session.work(job) == 0
    found = running.weights(tmp_path / "run")
    assert torch.equal(found["encoder.body.layer4.1.conv2.weight"], official.layer4[1].conv2.weight)
    assert "weights from" in (tmp_path / "run" / "train.log").read_text()


def test_the_weights_of_another_encoder_are_refused() -> None:
    encoder = nn.ModuleDict({"body": torchvision.models.resnet34(weights=None)})
    with pytest.raises(UserError, match=r"weights\.encoder=x: \d+ of \d+ tensors .* choose the encoder"):
        transfer_encoder(encoder, torchvision.models.resnet18(weights=None).state_dict(), "x")


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
