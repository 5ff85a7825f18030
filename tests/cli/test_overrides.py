"""Settings that a file remembers come back as they were, by the rules for what a stranger may say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from densepred import eval as evaluation
from densepred.cli import overrides
from densepred.rundir.provenance import words
from tests import running

VALUES = [
    None,
    True,
    0,
    -1.5,
    1e-05,
    "plain",
    "",
    "images/{split}",
    r"(.*)_\d+",
    'say "so"',
    "back\\",
    "a=b, [c] 'd'",
    [1, 2.5, None],
    [[0, 0, 9], [1, 2, 3]],
    {"train": 0.8, "valid": 0.2},
    {255: 1},
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_survives_being_recorded(value: object) -> None:
    (word,) = overrides.plain(words({"key": value, "_target_": "x.Y"}, "dataset"), "dataset")
    override = OverridesParser.create().parse_override(word)
    assert override.key_or_group == "dataset.key"
    assert override.value() == value


def test_a_run_is_evaluated_with_the_dataset_it_was_trained_on(tmp_path: Path) -> None:
    """Settings from an experiment's file, not typed, are recorded too."""
    running.train(tmp_path, "experiment=shapes_unet", "trainer.max_steps=1", "dataset.seed=5")
    words = dict(word.split("=", 1) for word in evaluation.dataset_of_checkpoint([f"ckpt={tmp_path}"]))
    assert words["dataset"] == "shapes"
    assert words["dataset.thinness"] == "3.5"
    assert words["dataset.seed"] == "5"
    assert words["dataset.size"] == "[24,32]"


def test_what_is_typed_for_an_evaluation_wins(tmp_path: Path) -> None:
    running.train(tmp_path, "trainer.max_steps=1")
    words = evaluation.dataset_of_checkpoint([f"ckpt={tmp_path}", "dataset.seed=7"])
    assert not any(word.startswith("dataset.seed=") for word in words)
