"""Options typed beside a recipe: a line for each choice of the recipe that they drop or change."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from densepred.cli import command
from densepred.cli.typed import Typed
from densepred.jobs import recipe, recipe_beside
from tests import cases
from tests.conftest import composed

CASES = [
    (("finetune", "encoder=plain"), ["encoder.pretrained=true is left out: encoder=plain has no such setting"]),
    (
        ("finetune", "optimizer=sgd"),
        ["optimizer.lr=0.001 in place of 0.01, which optimizer=sgd has; type optimizer.lr=0.01 for it"],
    ),
    (("finetune", "optimizer=sgd", "optimizer.lr=0.1"), []),
    (
        ("instances", "model=hrnet", "model.hidden=0"),
        ["encoder=efficientnet_lite0 in place of hrnet_w18, which model=hrnet has; type encoder=hrnet_w18 for it"],
    ),
    (
        ("instances", "model=panoptic_deeplab_light", "encoder=resnet18", "encoder.pretrained=true"),
        ["model.hidden=64 is left out: model=panoptic_deeplab_light has no such setting"],
    ),
    (
        ("finetune", "model=unet_first"),
        [
            "encoder=efficientnet_lite0 and its weights are left out: model=unet_first does not use the group",
        ],
    ),
    (("finetune", "trainer=debug"), ["trainer.max_minutes=60 gives way to null of trainer=debug"]),
    (("finetune", "decoder=unet"), []),
]


@pytest.mark.parametrize("case", cases.few(CASES, [CASES[0], CASES[5]]), ids=lambda case: " ".join(case[0]))
def test_every_choice_that_is_dropped_or_changed_has_its_line(
    case: tuple[tuple[str, ...], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    (name, *typed), lines = case
    words = [f"recipe={name}", "dataset=shapes", *typed]
    config, choices = composed(*words), Typed("train", command.configs(), ()).choices(words)
    assert choices is not None
    recipe_beside.settle(config, name, choices, words)
    assert capsys.readouterr().err.splitlines() == [f"note: recipe={name}: {line}" for line in lines]
    for line in (line for line in lines if "is left out" in line):
        assert OmegaConf.select(config, line.partition(" ")[0].partition("=")[0]) is None


def test_a_chosen_setting_that_a_decoder_lacks_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """It was a mistake in densepred: the key was not in the configuration."""
    shapes = ("dataset=shapes", "dataset.counts={train: 2, valid: 1, test: 1}", "dataset.size=[64,64]")
    words = ["recipe=detection", "decoder=unet", *shapes]
    config, choices = composed(*words), Typed("train", command.configs(), ()).choices(words)
    assert choices is not None
    recipe.choose(config, choices, words)
    assert "decoder.extra=1 is left out: decoder=unet has no such setting" in capsys.readouterr().err
    assert "extra" not in config.decoder
