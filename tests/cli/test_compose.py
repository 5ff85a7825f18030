"""Config files agree with the code, and a wrong word on the command line is one line that names the remedy."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from densepred.build.instantiate import find
from densepred.cli import command, compose, help, hydra_errors
from densepred.cli.typed import Typed
from densepred.errors import UserError
from densepred.settings import DataSettings, TrainerSettings, TrainSettings, WeightsSettings
from tests.conftest import composed

CONFIGS = command.configs()
FILES = sorted(CONFIGS.rglob("*.yaml"))
COMPONENTS = [path for path in FILES if path.parent.name not in ("configs", "experiment", "recipe")]


GIVEN = {"dataset": {"split"}, "upsample": {"factor"}}
"""Arguments with a default that whoever calls the factory of a group gives."""


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if "_target_" in tree:
            yield tree
        for value in tree.values():
            yield from nodes(value)
    if isinstance(tree, list):
        for value in tree:
            yield from nodes(value)


def scalar(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(scalar, value))
    if isinstance(value, dict):
        return all(map(scalar, value.values()))
    return value is None or isinstance(value, str | int | float | bool)


def same(value: Any) -> Any:
    """YAML has lists where Python has tuples."""
    if isinstance(value, list | tuple):
        return [same(inner) for inner in value]
    return {k: same(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(CONFIGS).as_posix())
def test_every_config_begins_by_saying_what_it_is(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# ")
    assert len(lines[0]) > 5


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda p: p.relative_to(CONFIGS).as_posix())
def test_a_config_lists_the_scalar_arguments_of_its_constructor(path: Path) -> None:
    tree = yaml.safe_load(path.read_text()) or {}
    preset = "defaults" in tree and "_target_" not in tree
    for node in nodes(tree):
        made = find(node["_target_"], path.name)
        parameters = inspect.signature(made).parameters
        keys = {key for key in node if not key.startswith("_")} - {"defaults"}
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        unknown = set() if takes_any else keys - parameters.keys()
        assert not unknown, f"{path}: {node['_target_']} has no {unknown}"
        if not node["_target_"].startswith("densepred.") or preset:
            continue
        for name, parameter in parameters.items():
            if parameter.default is not parameter.empty and scalar(parameter.default):
                assert name in keys | GIVEN.get(path.parent.name, set()), (
                    f"{path}: list {name} with its default {parameter.default}"
                )


def test_one_config_of_each_component_shows_its_defaults() -> None:
    """Presets set other values; some config of each constructor must show what the constructor itself would take."""
    differing: dict[str, list[set[str]]] = {}
    for path in COMPONENTS:
        tree = yaml.safe_load(path.read_text()) or {}
        if path.parent.name == "transform":  # its options are lists of settings chosen together
            continue
        for node in nodes(tree):
            if node["_target_"].startswith("densepred."):
                differing.setdefault(node["_target_"], []).append(set(changed(node)))
    for target, sets in differing.items():
        assert set() in sets, f"{target}: {sets} differ from the defaults of the constructor"


def changed(node: dict[str, Any]) -> Iterator[str]:
    """The plain arguments of a node that are not what its constructor would take."""
    parameters = inspect.signature(find(node["_target_"], "")).parameters
    for key, value in node.items():
        default = parameters[key].default if key in parameters else inspect.Parameter.empty
        interpolated = isinstance(value, str) and ("${" in value or value == "???")
        if isinstance(default, str | int | float | tuple | list) and not interpolated and same(value) != same(default):
            yield key


def test_every_plain_setting_is_listed_with_its_default() -> None:
    trainer = yaml.safe_load((CONFIGS / "trainer" / "default.yaml").read_text())
    assert set(trainer) == set(vars(TrainerSettings()))
    train = yaml.safe_load((CONFIGS / "train.yaml").read_text())
    assert set(train["data"]) == set(vars(DataSettings()))
    assert set(train["weights"]) == set(vars(WeightsSettings()))


def test_settings_are_an_object_with_plain_nodes() -> None:
    found = compose.settings(composed("trainer.max_steps=7", "data.crop=[64,96]"))
    assert isinstance(found, TrainSettings)
    assert isinstance(found.trainer, TrainerSettings)
    assert found.trainer.max_steps == 7
    assert found.data.crop == [64, 96]
    assert type(found.model) is dict
    assert found.model["encoder"]["_partial_"] is True


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["trainer.max_steps=20"], (None, 20, None)),
        (["trainer.max_minutes=5"], (None, None, 5.0)),
        (["trainer.max_minutes=5", "trainer.epochs=3"], (3, None, 5.0)),
        (["trainer=debug"], (None, 2, None)),
        (["trainer=debug", "trainer.epochs=2"], (2, None, None)),
        (["experiment=shapes_unet", "trainer=debug"], (None, 2, None)),
        (["experiment=shapes_unet", "trainer=debug", "trainer.max_steps=3"], (None, 3, None)),
        (["experiment=shapes_unet", "trainer=default"], (None, 620, 3.0)),
    ],
)
def test_a_length_that_is_typed_replaces_the_lengths_in_files(typed: list[str], expected: tuple[Any, ...]) -> None:
    trainer = composed(*typed).trainer
    assert (trainer.epochs, trainer.max_steps, trainer.max_minutes) == expected


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["trainer.epochs=2", "trainer.max_steps=3"], ["trainer.epochs", "choose one"]),
        (["trainer.epochs=null"], ["trainer.epochs", "give"]),
        (["trainer.epochs=0"], ["trainer.epochs: 0", "1 or more"]),
        (["trainer.precision=fp8"], ["trainer.precision: fp8", "fp32, bf16, fp16"]),
        (["data.on_bad=cry"], ["data.on_bad: cry", "error, skip"]),
        (["data.batch_size=0"], ["data.batch_size: 0"]),
        (["data.crop=[3]"], ["data.crop", "[HEIGHT,WIDTH]"]),
        (["trainer.ema=1.5"], ["trainer.ema: 1.5", "from 0 to below 1"]),
        (["dataset=folder"], ["dataset.root is not given", "dataset.root=..."]),
        (["+trainer.epoch=3"], ["trainer.epoch", "did you mean epochs?"]),
        (["+other=3"], ["other: there is no such key"]),
        (["trainer.epochs=0", "data.workers=-1"], ["trainer.epochs", "data.workers"]),
        (["trainer.channels_last=perhaps"], ["trainer.channels_last: perhaps; give true, false or auto"]),
    ],
)
def test_values_that_do_not_fit_are_refused_by_a_sentence(typed: list[str], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        composed(*typed)
    for word in words:
        assert word in str(caught.value)


def test_a_group_that_the_job_does_not_use_is_refused(tmp_path: Path) -> None:
    tree = OmegaConf.to_container(composed(), resolve=False)
    assert isinstance(tree, dict)
    tree["model"] = {"_target_": "densepred.model.encoder_decoder.EncoderDecoder"}
    found = OmegaConf.merge(OmegaConf.structured(TrainSettings), {key: tree[key] for key in tree})
    for typed in ("encoder=resnet50", "encoder.norm=batch", "upsample=nearest"):
        group = typed.split("=")[0].split(".")[0]
        with pytest.raises(UserError, match=f"this job uses no {group}"):
            compose.complete(found, [typed])  # pyright: ignore[reportArgumentType]


def test_every_injected_group_is_used_by_default() -> None:
    assert compose.idle_groups(composed()) == set()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("trainer.epoch=3", ["trainer.epoch: there is no such key", "did you mean trainer.epochs?"]),
        ("trianer.epochs=3", ["trianer.epochs", "type trainer.epochs=3"]),
        ("trainer.epochs=many", ["trainer.epochs: many", "a whole number"]),
        ("trainer.ema=high", ["trainer.ema: high", "give a number"]),
        ("trainer.compile=perhaps", ["trainer.compile: perhaps", "true or false"]),
        ("data.crop=3.5", ["data.crop: 3.5", "one for a square"]),
        ("model=unett", ["model=unett", "did you mean unet?"]),
        ("optimizer=zzz", ["optimizer=zzz", "known: ", "adam,", "adamw,"]),
        ("metric=[confusion,boundary_iu]", ["metric=boundary_iu", "did you mean boundary_iou?"]),
        ("metric.confusion.ratio=3", ["metric.confusion.ratio", "no such key"]),
        ("modl=unet", ["modl", "did you mean model?"]),
        ("~optimizer.groups", ["~optimizer.groups: it is null", "leave the word out"]),
        ("~optimizer.group", ["optimizer.group: there is no such key", "did you mean optimizer.groups?"]),
        ("optimizer.wieght_decay=0", ["optimizer.wieght_decay", "did you mean optimizer.weight_decay?"]),
        ("weights.everything=x", ["weights.everything", "weights has init, encoder, model"]),
        ("data={crops: 3}", ["data: the mapping has no key crops", "did you mean crop?"]),
        ("data={other: 3}", ["data: the mapping has no key other", "type '+data={other: 3}'"]),
        ("weights.init=[a,b]", ["weights.init: [a,b]; give one value, no list"]),
        ("weights.init=a=b", ["weights.init", 'weights.init="a=b"']),
        ("seed", ["seed", "key=value"]),
    ],
)
def test_a_wrong_word_is_one_line_with_a_hint(typed: str, words: list[str]) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011, Hydra raises many kinds
        composed(typed)
    GlobalHydra.instance().clear()
    text = hydra_errors.sentence(caught.value, Typed("train", CONFIGS, [typed]))
    for word in words:
        assert word in text
    assert "\n" not in text


@pytest.mark.parametrize(("name", "typed"), [("check", "loss=ce"), ("convert", "model=unet")])
def test_words_of_a_training_are_none_of_commands_for_data(name: str, typed: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011, Hydra raises many kinds
        composed(typed, name=name)
    GlobalHydra.instance().clear()
    text = hydra_errors.sentence(caught.value, Typed(name, CONFIGS, [typed]))
    assert f"densepred-{name} reads the data, whatever the training is; leave it out" in text


METRICS = {
    (): ["confusion"],
    ("metric=boundary_iou",): ["boundary_iou"],
    ("metric=[confusion,boundary_iou]",): ["confusion", "boundary_iou"],
    ("metric=[]",): [],
    ("task=own",): ["mine"],
    ("task=own", "metric=[mine,boundary_iou]"): ["mine", "boundary_iou"],
    ("experiment=owned",): ["mine", "confusion"],
    ("experiment=owned", "metric=boundary_iou"): ["boundary_iou"],
}


@pytest.mark.parametrize("typed", METRICS, ids=" ".join)
def test_metrics_are_chosen_by_words_and_a_task_may_bring_its_own(typed: tuple[str, ...], tmp_path: Path) -> None:
    for name, body in {
        "task/own": "# mine\ndefaults: [semantic, override /metric@_global_.metric: mine, _self_]\nmonitor: score\n",
        "metric/mine": "# mine\nmine:\n  _target_: mynet.Score\n  _partial_: true\n",
        "experiment/owned": "# @package _global_\n# mine\ndefaults:\n  - override /task: own\n"
        "  - override /metric: [mine, confusion]\n",
    }.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir()
        path.write_text(body)
    found = compose.settings(composed(*typed, f"hydra.searchpath=[file://{tmp_path}]"))
    assert list(found.task["metrics"] or {}) == METRICS[typed]


def test_a_metric_of_a_task_that_lists_its_own_in_place_is_refused() -> None:
    tree = OmegaConf.to_container(composed(), resolve=False)
    assert isinstance(tree, dict)
    tree["task"]["metrics"] = {"mine": {"_target_": "mynet.Score", "_partial_": True}}
    found = OmegaConf.merge(OmegaConf.structured(TrainSettings), {key: tree[key] for key in tree})
    with pytest.raises(UserError, match="metric: this job uses no metric"):
        compose.complete(found, ["metric=boundary_iou"])  # pyright: ignore[reportArgumentType]


def test_evaluation_takes_the_metrics_of_the_checkpoint_unless_others_are_named() -> None:
    assert composed("ckpt=x", name="eval").metric is None
    assert list(composed("ckpt=x", "metric=[confusion,boundary_iou]", name="eval").metric) == [
        "confusion",
        "boundary_iou",
    ]


def test_help_shows_groups_keys_and_examples() -> None:
    text = help.text("train", CONFIGS, [], "densepred-train model=unet")
    for word in (
        "encoder",
        "resnet18",
        "trainer.epochs=",
        "data.batch_size=",
        "--multirun",
        "densepred-train model=unet",
    ):
        assert word in text


def test_help_shows_the_options_of_further_config_folders(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# my own net\n_target_: mynet.Net\n")
    assert "my own net" in help.text("train", CONFIGS, ["--config-dir", str(tmp_path)])
