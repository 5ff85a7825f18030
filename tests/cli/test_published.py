"""Published weights as a checkpoint: the model of the table, with the outputs of the peer's own."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torchvision.models import get_model

from densepred import predictor
from densepred.cli import published as checkpoints
from densepred.errors import Notice, UserError
from densepred.hub import published, zoo


def test_a_published_model_predicts_before_any_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    theirs = get_model("fcn_resnet50", weights=None, weights_backbone=None, aux_loss=True).eval()
    state = published.State(theirs.state_dict(), tmp_path / "file")
    monkeypatch.setattr(published, "from_address", lambda *_: state)
    monkeypatch.setattr(published, "folder", lambda: tmp_path)
    with pytest.warns(Notice, match=r"fcn_resnet50: licence BSD-3-Clause; published mIoU 60\.5 .* at 520 pixels"):
        path = checkpoints.checkpoint("torchvision:fcn_resnet50")
    model = predictor.load(path, "cpu")
    image = torch.rand(3, 32, 40)
    mean, std = (torch.tensor(value)[:, None, None] for value in (model.info.mean, model.info.std))
    with torch.no_grad():
        want = theirs(((image - mean) / std)[None])["out"][0].argmax(0)
    assert model.info.classes[15] == "person"
    assert torch.equal(model(image).semantic.long(), want)  # pyright: ignore[reportOptionalMemberAccess]


def test_runs_and_files_are_not_looked_up() -> None:
    assert checkpoints.checkpoint("runs/a") == "runs/a"


def test_weights_without_a_known_model_are_refused() -> None:
    with pytest.raises(UserError, match=r"ckpt=torchvision:deeplabv3_resnet5: not in the table.*did you mean"):
        checkpoints.checkpoint("torchvision:deeplabv3_resnet5")


@pytest.mark.parametrize("entry", [entry for entry in zoo.entries().values() if entry.classes], ids=lambda e: e.name)
def test_the_options_of_every_entry_compose(entry: zoo.Entry) -> None:
    assert checkpoints.composed(entry)["model"]["_target_"].startswith("densepred.model.")


@pytest.mark.parametrize("name", [name for name in zoo.entries() if "finetuned-ade" in name])
def test_segformers_classes_are_those_of_ade20k(name: str) -> None:
    """Compare labels 1, 13, 21, 90 and 150 with mmsegmentation's list of the classes, which counts from 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classes = checkpoints.description(zoo.entries()[name]).classes
    assert len(set(classes)) == len(classes) == 150
    assert [classes[label - 1] for label in (1, 13, 21, 90, 150)] == [
        "wall",
        "person",
        "car",
        "television receiver",
        "flag",
    ]
