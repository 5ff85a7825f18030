"""`weights.init=RUN` takes the model and the task of RUN, so that the line of README fine-tunes any run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from densepred import train
from densepred.cli import command
from densepred.cli.inherit import inherited
from densepred.cli.typed import Typed
from densepred.errors import UserError
from densepred.rundir import provenance
from densepred.weights.file import save_weights
from tests import running
from tests.conftest import composed


def taken(*words: str) -> list[str]:
    return inherited(Typed("train", command.configs(), words))


def recorded(folder: Path, *words: str) -> Path:
    """The records of a run that was started with these overrides."""
    folder.mkdir()
    provenance.write(folder, provenance.as_written(composed(*words)), words)
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    words = ("model=deeplabv3plus", "encoder=resnet18", "encoder.pretrained=true", "decoder.width=16", "loss=dice")
    return recorded(tmp_path / "run", *words, "task.codec.distance=true", "dataset.size=[32,32]", "seed=3")


def test_the_model_and_the_task_are_those_of_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = taken(f"weights.init={run}", "dataset=folder", "dataset.root=OTHER")
    assert words == [
        "model=deeplabv3plus",
        "encoder=resnet18",
        "decoder=deeplabv3plus",
        "upsample=bilinear",
        "task=semantic",
        "encoder.pretrained=false",
        "decoder.width=16",
        "task.codec.distance=true",
    ]
    assert "decoder.width=16" in capsys.readouterr().err


def test_what_is_typed_is_not_taken(run: Path) -> None:
    source = f"weights.init={run}"
    assert taken(source, "model=unet") == ["task=semantic", "task.codec.distance=true"]
    words = taken(source, "encoder=resnet34", "task=semantic")
    assert words[:2] == ["model=deeplabv3plus", "decoder=deeplabv3plus"]
    assert not any(word.startswith(("encoder", "task")) for word in words)
    assert "decoder.width=16" not in taken(source, "decoder.width=8")
    assert taken(source, "experiment=camvid_unet") == []
    assert taken("weights.init=null") == taken("weights.encoder=RUN") == []


def test_an_experiment_of_the_run_is_taken_apart(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", "experiment=camvid_unet", "dataset.root=DIR")
    typed = [f"weights.init={run}", "dataset=shapes"]
    then, now = composed("experiment=camvid_unet", "dataset.root=DIR"), composed(*taken(*typed), *typed)
    for group in ("model", "encoder", "decoder", "upsample"):
        assert now[group] == then[group]
    assert now.task.codec == then.task.codec


def test_a_lone_file_names_its_options(tmp_path: Path) -> None:
    header = {"model": {}, "task": {}, "info": {}, "options": {"model": "segnet", "encoder": "vgg16", "task": "../x"}}
    save_weights(tmp_path / "lone.safetensors", {"w": torch.zeros(1)}, header)
    assert taken(f"weights.init={tmp_path / 'lone.safetensors'}") == ["model=segnet", "encoder=vgg16"]


def test_the_run_of_a_stranger_names_no_code(run: Path) -> None:
    config = (run / "config.yaml").read_text().replace("densepred.model.encoder_decoder.EncoderDecoder", "os.system")
    (run / "config.yaml").write_text(config)
    with pytest.raises(UserError, match=r"weights\.init=.*more than a plain value; choose model=\.\.\. yourself"):
        taken(f"weights.init={run}")


def test_every_tensor_of_another_model_is_loaded(tmp_path: Path) -> None:
    first = (
        "model=unetplusplus",
        "encoder.widths=[4,8,8]",
        "model.deep_supervision=1",
        "trainer.max_steps=1",
        "optimizer.lr=0",
    )
    running.train(tmp_path / "first", *first)
    typed = ("dataset.seed=5", "trainer.max_steps=1", f"weights.init={tmp_path / 'first'}")
    tiny = [word for word in running.TINY if not word.startswith(("model=", "encoder."))]
    running.training.work(running.bare_job(tmp_path / "second", *taken(*typed), *tiny, *typed))
    (line,) = [one for one in (tmp_path / "second/train.log").read_text().splitlines() if "tensors loaded" in one]
    count = len(running.weights(tmp_path / "first"))
    assert line.endswith(f": {count} of {count} tensors loaded")


def test_less_than_half_of_another_model_is_refused_with_what_to_type(tmp_path: Path) -> None:
    running.train(tmp_path / "first", "trainer.max_steps=1")
    words = ("model=hrnet", "encoder.width=4", "trainer.max_steps=1", f"weights.init={tmp_path / 'first'}")
    job = running.bare_job(tmp_path / "second", *words, *running.TINY[2:])
    with pytest.raises(UserError, match=r"of \d+ tensors fit, less than half; type model=unet.*weights\.encoder="):
        running.training.work(job)
    wide = running.bare_job(tmp_path / "third", "model=unet", words[-1], *running.TINY[2:])
    with pytest.raises(UserError, match=r"less than half; type model=unet encoder\.widths=\[4,8\], or "):
        running.training.work(wide)


def test_a_run_that_has_begun_keeps_what_it_took(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (f"weights.init={run}", "trainer.resume=auto", f"hydra.run.dir={run.parent / 'later'}", "decoder.width=8")
    monkeypatch.setattr("sys.argv", ["densepred-train"])
    first = train.prepared(list(words))
    assert "model=deeplabv3plus" in first
    recorded(run.parent / "later", *first, *words)
    shutil.rmtree(run)
    assert set(train.prepared(list(words))) == set(first)
