"""Notices of typed settings without effect, each with the reason; settings with effect have none."""

from __future__ import annotations

import warnings
from dataclasses import fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from densepred.cli import ignored
from densepred.errors import Notice
from densepred.settings import DataSettings, EvalSettings, PredictSettings, ReportSettings, TrainerSettings
from tests import forked
from tests.conftest import composed
from tests.dataset import folder_tree

FOLDER = ("dataset=folder", "dataset.root=DIR")
POSE = ("task=pose", "data.crop=[32,32]")


def told(*words: str, name: str = "train") -> list[str]:
    return list(ignored.unused(composed(*words, name=name), words))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("data.timeout_s=3", "data.workers=0"), "data.workers=0 loads without a process"),
        (("data.crop=[32,32]", "transform=none"), "no transform of this run cuts crops"),
        (("transform.train.0.low=0.1",), "whole images are not scaled"),
        (("scheduler.power=2", "trainer.max_minutes=1"), "the learning rate stays constant"),
        (("scheduler=cosine", "trainer.max_minutes=1"), "the learning rate stays constant"),
        (("trainer.max_restarts=2",), "only processes that trainer.devices starts"),
        (("trainer.sync_norm=false",), "it is about batch norms of several processes"),
        (("trainer.allow=[seed]",), "trainer.resume=RUN"),
        (("task.monitor=miou", "trainer.monitor=accuracy"), "trainer.monitor replaces it"),
        (("sweep.columns=[miou]",), "the table of --multirun"),
        (("encoder.pretrained=true", "encoder=resnet18", "weights.encoder=F"), "weights.encoder replaces"),
        (("dataset.seed=3", *FOLDER), "only random splits use it"),
        (("dataset.group=scan", *FOLDER), "only random splits use it"),
        (("dataset.images=img", "dataset.list=a.csv", *FOLDER), "dataset.list names the files"),
        (("model.kernel=3", "model=fcn"), "fc6 and fc7"),
        (("decoder.between=false", "model=deeplabv3plus"), "decoder.separable=true"),
        (("decoder.extra_from=encoder", "model=fpn"), "decoder.extra=2"),
        (("task.codec.depth=2", "task=instance_components", "dataset=shapes"), "only split=distance uses it"),
        (("task.codec.blur=7", "task.codec.decode=argmax", *POSE), "blurs maps"),
        (("task.codec.dot=0.1", "task=openpose", "task.codec.maximize_positives=true"), "maximize_positives=true"),
        (("task.codec.stuff_area=9", "task=instance_center"), "predicts no stuff"),
        (("optimizer.lr=1", "task=autoencoder", "model=pca"), "solved in one pass"),
        (("optimizer=sgd", "task=autoencoder", "model=pca"), "solved in one pass"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_setting_without_effect_has_a_notice(words: tuple[str, ...], reason: str) -> None:
    (line,) = told(*words)
    assert line.startswith(f"{words[0]}: has no effect: ")
    assert reason in line


@pytest.mark.parametrize(
    "words",
    [
        ("data.timeout_s=3",),
        ("data.crop=[32,32]",),
        ("transform.train.0.low=0.1", "data.crop=[32,32]"),
        ("scheduler.power=2", "trainer.max_minutes=1", "trainer.max_steps=9"),
        ("scheduler=constant", "trainer.max_minutes=1"),
        ("scheduler.warmup=5", "trainer.max_minutes=1"),  # a number of steps acts
        ("dataset.seed=3", *FOLDER, "dataset.splits={train: 0.8, valid: 0.2}"),
        ("dataset.images=img", "dataset.list=val.txt", *FOLDER),  # names are looked up there
        ("dataset.mask_suffix=_m", "dataset.list=splits_final.json", *FOLDER),
        ("dataset.seed=3",),  # of the drawn scenes
        ("model.kernel=3", "model=fcn", "model.width=64"),
        ("task.codec.threshold=0.4", "task=instance_components"),
        ("decoder.between=false", "decoder.separable=true", "model=deeplabv3plus"),
        ("trainer.max_steps=4", "task=autoencoder", "model=pca"),
        ("trainer.allow=[]", "trainer.monitor=null"),
    ],
    ids=lambda words: words[0],
)
def test_a_setting_with_effect_has_none(words: tuple[str, ...]) -> None:
    assert told(*words) == []


def test_evaluation_and_prediction_tell_theirs() -> None:
    words = ("ckpt=C", "data.crop=[8,8]", "data.drop_last=true", "data.on_bad=skip", "box_threshold=0.5")
    words = (*words, "data.transform_on_device=true")
    assert [line.partition("=")[0] for line in told(*words, name="eval")] == [w.partition("=")[0] for w in words[1:]]
    words = ("ckpt=C", "input=I", "overlap=0.1", "blend=none", "overlay=false", "threshold=0.5", "box_threshold=0.5")
    keys = ["overlap", "blend", "threshold", "box_threshold"]
    assert [line.partition("=")[0] for line in told(*words, name="predict")] == keys
    assert told("ckpt=C", "input=I", "tile=64", "overlap=0.1", "threshold=0.5", name="predict") == []
    assert told("ckpt=C", "input=I", "workers=2", "batch_size=2", name="predict") == []
    words = ("workers=2", "batch_size=2")
    assert [line.partition("=")[0] for line in told("ckpt=C", "input=I", "tile=64", *words, name="predict")] == [
        "workers",
        "batch_size",
    ]
    assert len(told("ckpt=C", "input=I", "flip=true", *words, name="predict")) == 1


def test_commands_on_files_and_datasets_tell_theirs() -> None:
    words = ("ckpt=C", "output=O.onnx", "dataset.split=test", "data.batch_size=2", "opset=19")
    assert [line.partition("=")[0] for line in told(*words, name="export")] == ["dataset.split", "data.batch_size"]
    assert told(*words, "images=4", name="export") == []
    assert len(told(*words, "images=4", "data.crop=[8,8]", name="export")) == 1
    assert [line.partition("=")[0] for line in told("ckpt=C", "output=O.pt2", "opset=19", name="export")] == ["opset"]
    words = ("data.workers=0", "data.crop=[8,8]", "data.on_bad=skip", "data.batch_size=2", "data.cache=ram")
    assert [line.partition("=")[0] for line in told(*words, name="check")] == ["data.batch_size", "data.cache"]
    words = ("output=O", "data.max_pixels=9", "data.on_bad=skip", "data.workers=2", "data.allow_overlap=true")
    assert [line.partition("=")[0] for line in told(*words, name="convert")] == ["data.workers", "data.allow_overlap"]


def test_settings_of_cards_and_of_reports_tell_where_they_do_not_act() -> None:
    words = ("license=mit", "data_license=mit", "private=false", "overwrite=true")
    assert [line.partition("=")[0] for line in told(*words, "runs=R", name="report")] == [
        "license",
        "data_license",
        "private",
        "overwrite",
    ]
    reasons = told("card=true", *words, "title=T", "evaluations=E", name="report")
    assert [line.partition("=")[0] for line in reasons] == ["private", "title", "evaluations"]
    assert told("card=true", *words, "push=U/N", name="report") == []
    assert told("runs=R", "title=T", "evaluations=E", name="report") == []


def test_all_files_tells_that_a_split_is_a_list() -> None:
    (line,) = told("ckpt=C", "split=valid", "all_files=true", name="predict")
    assert line.endswith("split= predicts the images of a list, not those of a folder")


USED = {
    "train": {
        "data": {"batch_size", "valid_batch_size", "workers", "drop_last", "on_bad", "max_pixels", "allow_overlap"}
        | {"foreground", "balance", "check", "cache", "transform_on_device"},
        "trainer": {"max_steps", "max_minutes", "deterministic", "threads", "pictures", "probes", "resume", "monitor"}
        | {"shard"},
    },
    "eval": {
        "": {"ckpt", "output", "trust", "dataset", "metric", "codec", "oracle", "probes", "flip", "boxes", "data"}
        | {"skip_stages", "precision", "devices", "threads", "ablate", "calibrate", "pictures"},
        "data": {"batch_size", "valid_batch_size", "workers", "max_pixels", "allow_overlap"},
    },
    "check": {"data": {"workers", "crop", "on_bad", "max_pixels", "allow_overlap"}},
    "convert": {"data": {"on_bad", "max_pixels"}},
    "predict": {
        "": {"ckpt", "input", "split", "output", "trust", "codec", "tile", "flip", "boxes", "scales", "overlay"}
        | {"probabilities", "coco_ids", "max_pixels", "skip_stages", "precision", "threads", "latents", "overwrite"}
        | {"uncertainty", "fps", "frames", "axis"},
    },
    "report": {"": {"runs", "card", "ckpt", "output", "push"}},
}
"""Plain settings that act in every job, or that the command itself refuses or tells where they do not."""


@pytest.mark.parametrize(
    ("command", "section", "schema"),
    [
        ("train", "data", DataSettings),
        ("train", "trainer", TrainerSettings),
        ("eval", "", EvalSettings),
        ("eval", "data", DataSettings),
        ("check", "data", DataSettings),
        ("convert", "data", DataSettings),
        ("predict", "", PredictSettings),
        ("report", "", ReportSettings),
    ],
)
def test_every_plain_setting_acts_or_has_a_rule(command: str, section: str, schema: type) -> None:
    keyed = {"train": "trainer", "eval": "oracle", "predict": "tile", "check": "classes_json", "convert": "form"}
    keyed["report"] = "card"
    rules = ignored.COMMANDS[keyed[command]]
    for field in fields(schema):
        key = f"{section}.{field.name}" if section else field.name
        has_rule = any(ignored._names(keys, key) for keys, _, _ in rules)
        assert has_rule != (field.name in USED[command][section]), key


def test_only_the_first_process_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    config = OmegaConf.create(OmegaConf.to_container(composed("trainer.allow=[seed]")))
    with pytest.warns(Notice, match=r"trainer\.allow=\[seed\]: has no effect"):
        ignored.tell(config, ["trainer.allow=[seed]"])  # type: ignore[arg-type]
    monkeypatch.setenv("RANK", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ignored.tell(config, ["trainer.allow=[seed]"])  # type: ignore[arg-type]


def test_an_evaluation_gives_no_notice_of_settings_that_its_checkpoint_brings(tmp_path: Path) -> None:
    for split in ("train", "val"):
        folder_tree.tree(tmp_path / "data", split)
    words = ("dataset=folder", "dataset.root=data", "encoder=plain", "encoder.widths=[4,8]", "trainer.max_steps=1")
    code, _, err = forked.run(
        "train", *words, "data.workers=0", "data.batch_size=2", "hydra.run.dir=run", folder=tmp_path
    )
    assert code == 0, err
    code, _, err = forked.run("eval", "ckpt=run", "data.workers=0", folder=tmp_path)
    assert (code, err) == (0, "")
    code, _, err = forked.run("eval", "ckpt=run", "data.workers=0", "dataset.seed=3", folder=tmp_path)
    assert code == 0
    assert err.startswith("warning: dataset.seed=3: has no effect: only random splits use it")
