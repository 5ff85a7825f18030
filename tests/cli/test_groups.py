"""Overrides that would replace, merge or remove a component are answered by a command that works."""

from __future__ import annotations

import shlex

import pytest

from densepred.cli import command, groups, hydra_errors
from densepred.cli.typed import Typed
from densepred.errors import UserError
from tests.conftest import composed


def answer(*words: str, name: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        groups.check(Typed(name, command.configs(), words))
    return str(caught.value)


@pytest.mark.parametrize(
    ("typed", "command_line"),
    [
        (["model.encoder=resnet18"], "encoder=resnet18"),
        (["++model.encoder=resnet18"], "encoder=resnet18"),
        (["model.decoder=fpn"], "decoder=fpn"),
        (["decoder.upsample=nearest"], "upsample=nearest"),
        (["task.losses.semantic=dice"], "loss=dice"),
        (["task.losses=dice"], "loss=dice"),
        (["task.codec=panoptic"], "task=panoptic"),
        (["transform.train=strong"], "transform=strong"),
        (["task=panoptic", "task.losses.center=l1"], "task.losses.center._target_=densepred.loss.l1.AbsoluteError"),
        (["loss=[ce,dice]"], "loss=sum +loss@loss.terms.ce.loss=ce +loss@loss.terms.dice.loss=dice"),
        (["loss=[ce]"], "loss=ce"),
        (["~transform"], "transform=none"),
        (["~loss"], "loss=ce"),
        (["~model=unet"], "model=unet"),
        (["~trainer"], "trainer=default"),
        (["~transform.train"], "transform.train=[]"),
        (["metric=null"], "metric=[]"),
        (["logger=null"], "logger=[]"),
        (["loss=null"], "loss=ce"),
        (["transform=null"], "transform=none"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_in_the_message_composes(typed: list[str], command_line: str) -> None:
    text = answer(*typed)
    assert f"type {command_line}" in text
    assert "\n" not in text
    composed(*typed[:-1], *shlex.split(command_line))


@pytest.mark.parametrize("group", ["loss", "model"])
def test_options_with_commas_and_no_multirun_take_one_step_of_remedy(group: str) -> None:
    options = sorted(Typed("train", command.configs(), ()).options(group))[:2]
    word = f"{group}={','.join(options)}"
    text = hydra_errors._ambiguous(group, ",".join(options), Typed("train", command.configs(), [word]))
    assert text == answer(f"{group}=[{','.join(options)}]").replace(f"[{','.join(options)}]", ",".join(options), 1)
    assert f"--multirun {word} runs" in text


def test_an_option_in_a_sweep_is_answered_with_the_sweep() -> None:
    assert "type encoder=resnet18,resnet50" in answer("model.encoder=resnet18,resnet50")


@pytest.mark.parametrize("group", ["model", "encoder", "task", "dataset", "optimizer", "trainer"])
def test_groups_of_one_option_take_no_list(group: str) -> None:
    options = sorted(Typed("train", command.configs(), ()).options(group))[:2]
    text = answer(f"{group}=[{','.join(options)}]")
    assert f"{group} takes one option; type {group}={options[0]}" in text
    assert f"--multirun {group}={options[0]},{options[1]}" in text


def test_an_entry_of_a_list_is_removed_in_a_file_of_ones_own() -> None:
    text = answer("transform=strong", "~transform.train.2")
    assert text.startswith("~transform.train.2: an entry of a list cannot be removed; copy transform/strong.yaml to")
    assert text.endswith("--config-dir DIR transform=mine")


@pytest.mark.parametrize(("key", "place"), [("trainer.clip", "trainer.clip"), ("data", "data.KEY"), ("seed", "seed")])
def test_settings_are_changed_not_removed(key: str, place: str) -> None:
    assert f"type {place}=VALUE" in answer(f"~{key}")


@pytest.mark.parametrize(
    "typed",
    [
        ["metric=[confusion,boundary_iou]"],
        ["experiment=[shapes_unet,upsampling_lab]"],
        ["~experiment"],
        ["~metric"],
        ["~optimizer.eps"],
        ["encoder.norm=group"],
        ["loss=ce,dice"],
        ["data.crop=[64,64]"],
        ["decoder.attention=none"],
        ["loss=sum", "+loss@loss.terms.a.loss=ce"],
    ],
    ids=" ".join,
)
def test_what_hydra_understands_passes(typed: list[str]) -> None:
    groups.check(Typed("train", command.configs(), typed))


@pytest.mark.parametrize(
    ("name", "word"), [("train", "recipe=null"), ("train", "experiment=null"), ("eval", "metric=null")]
)
def test_null_for_a_group_that_has_no_default_is_to_be_left_out(name: str, word: str) -> None:
    assert answer(word, name=name) == f"{word}: names no option; leave it out"
