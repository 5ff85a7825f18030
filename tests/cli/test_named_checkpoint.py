"""Published weights as a checkpoint: the model of the table, with the outputs of the peer's own."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path

import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from torch import nn
from torchvision.io import ImageReadMode, decode_image, write_png
from torchvision.models import get_model

from densepred import predictor
from densepred.cli import command
from densepred.cli import named_checkpoint as checkpoints
from densepred.dataset.voc import CLASSES
from densepred.errors import Notice, UserError
from densepred.eval import dataset_of_checkpoint
from densepred.hub import published, zoo
from densepred.types import Info
from tests import forked


def on_offer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Return torchvision's FCN with random weights, which any download then gives."""
    torch.manual_seed(0)
    theirs = get_model("fcn_resnet50", weights=None, weights_backbone=None, aux_loss=True).eval()
    monkeypatch.setattr(published, "from_address", lambda *_: published.State(theirs.state_dict(), folder / "file"))
    monkeypatch.setattr(published, "folder", lambda: folder)
    return theirs


def test_a_published_model_predicts_before_any_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = on_offer(tmp_path, monkeypatch)
    with pytest.warns(Notice, match=r"fcn_resnet50: licence BSD-3-Clause; published mIoU 60\.5 .* at 520 pixels"):
        path = checkpoints.checkpoint("torchvision:fcn_resnet50")
    model = predictor.load(path, "cpu")
    image = torch.rand(3, 32, 40)
    mean, std = (torch.tensor(value)[:, None, None] for value in (model.info.mean, model.info.std))
    with torch.no_grad():
        want = theirs(((image - mean) / std)[None])["out"][0].argmax(0)
    assert model.info.classes[15] == "person"
    assert torch.equal(model(image).semantic.long(), want)  # pyright: ignore[reportOptionalMemberAccess]


@pytest.mark.slow
def test_commands_take_a_published_model_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The masks are the outputs of the peer's own model: predictions equal them, and their mean IoU is 1."""
    theirs = on_offer(tmp_path, monkeypatch)
    image = torch.randint(0, 256, (3, 32, 40), dtype=torch.uint8)
    mean, std = (torch.tensor(value)[:, None, None] for value in (Info().mean, Info().std))
    with torch.no_grad():
        mask = theirs(((image / 255 - mean) / std)[None])["out"].argmax(1).to(torch.uint8)
    for kind, picture in {"images": image, "masks": mask}.items():
        (tmp_path / kind / "val").mkdir(parents=True)
        write_png(picture, str(tmp_path / kind / "val" / "a.png"))
    (tmp_path / "classes.json").write_text(json.dumps({"classes": list(CLASSES)}))
    words = ("ckpt=torchvision:fcn_resnet50", "dataset=folder", f"dataset.root={tmp_path}", "data.workers=0")
    code, _, errors = forked.run("eval", *words, "output=report", folder=tmp_path)
    assert code == 0, errors
    assert re.search(r"fcn_resnet50: licence BSD-3-Clause; published mIoU 60\.5 .* at 520 pixels", errors)
    found = (tmp_path / "report" / "metrics.json").read_text()
    assert re.search(r'"miou": 1\.0\b', found), found
    code, _, errors = forked.run("predict", words[0], "input=images/val", "output=made", folder=tmp_path)
    assert code == 0, errors
    assert torch.equal(decode_image(str(tmp_path / "made" / "labels" / "a.png"), ImageReadMode.UNCHANGED), mask)


def test_published_weights_are_evaluated_on_a_dataset_that_is_typed() -> None:
    with pytest.raises(UserError, match=r"ckpt=torchvision:fcn_resnet50: published weights come without a dataset"):
        dataset_of_checkpoint(["ckpt=torchvision:fcn_resnet50"])
    assert dataset_of_checkpoint(["ckpt=torchvision:fcn_resnet50", "dataset=voc"]) == []


def test_runs_and_files_are_not_looked_up() -> None:
    assert checkpoints.checkpoint("runs/a") == "runs/a"


def test_weights_without_a_known_model_are_refused() -> None:
    with pytest.raises(UserError, match=r"ckpt=torchvision:deeplabv3_resnet5: not in the table.*did you mean"):
        checkpoints.checkpoint("torchvision:deeplabv3_resnet5")


@pytest.mark.parametrize("entry", [entry for entry in zoo.entries().values() if entry.classes], ids=lambda e: e.name)
def test_the_options_of_every_entry_compose(entry: zoo.Entry) -> None:
    assert checkpoints.composed(entry)["model"]["_target_"].startswith("densepred.model.")


def test_options_compose_inside_a_command_which_has_hydra_running() -> None:
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        assert checkpoints.composed(zoo.entries()["torchvision:fcn_resnet50"])["model"]
        assert GlobalHydra.instance().hydra is before


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
