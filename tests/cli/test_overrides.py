"""Settings that a file remembers come back as they were, by the rules for what a stranger may say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from densepred import eval as evaluation
from densepred import home
from densepred.cli import overrides
from densepred.errors import UserError
from densepred.rundir.provenance import words
from densepred.weights.file import save_weights
from tests import running
from tests.conftest import composed

CONFIGS = Path(__file__).parents[2] / "configs"

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


def test_a_limit_that_is_typed_wins_over_the_recorded_one(tmp_path: Path) -> None:
    words = [f"ckpt={described(tmp_path / 'run', 'data', 'dataset.max_pixels=7')}"]
    assert "dataset.max_pixels=7" in evaluation.dataset_of_checkpoint(words)
    words += ["data.max_pixels=9"]
    config = composed(*evaluation.dataset_of_checkpoint(words), *words, name="eval")
    assert config.dataset.max_pixels == 9


def described(folder: Path, root: str, *others: str) -> Path:
    """Write weights that name their dataset."""
    folder.mkdir(parents=True)
    dataset = {"option": "folder", "overrides": [f"dataset.root={root}", *others]}
    save_weights(folder / "best.safetensors", {}, {"model": {}, "task": {}, "info": {}, "dataset": dataset})
    return folder


def test_checkpoints_may_have_any_name(tmp_path: Path) -> None:
    names = ["plain", "a,b", "it's", 'a "b"', "end\\", "[x]", "loss=ce,lr=0.1"]
    for number, name in enumerate(names):
        run, words = described(tmp_path / name, str(number)), ["dataset=folder", f"dataset.root={number}"]
        for sign in ("'", '"'):
            quoted = home.in_quotes(str(run), sign)
            assert evaluation.dataset_of_checkpoint([f"ckpt={quoted}"]) == words
            assert evaluation.dataset_of_checkpoint([f"ckpt=[{quoted},{home.in_quotes('no run')}]"]) == words


def test_a_sweep_over_checkpoints_needs_one_dataset(tmp_path: Path) -> None:
    first, second, third = (described(tmp_path / name, name[0]) for name in ("a1", "a2", "b"))
    words = ["dataset=folder", "dataset.root=a"]
    assert evaluation.dataset_of_checkpoint([f"ckpt={first},{second}"]) == words
    assert evaluation.dataset_of_checkpoint([f"ckpt={first},[{second},{third}]"]) == words
    with pytest.raises(UserError, match="of this sweep were trained on different datasets"):
        evaluation.dataset_of_checkpoint([f"ckpt={first},{third}"])
    assert evaluation.dataset_of_checkpoint([f"ckpt={first},{third}", "dataset.root=c"]) == words[:1]
    assert evaluation.dataset_of_checkpoint([f"ckpt={first},{third}", "dataset=voc"]) == []


def test_what_is_typed_for_an_evaluation_wins(tmp_path: Path) -> None:
    running.train(tmp_path, "trainer.max_steps=1")
    words = evaluation.dataset_of_checkpoint([f"ckpt={tmp_path}", "dataset.seed=7"])
    assert not any(word.startswith("dataset.seed=") for word in words)


NO_PATHS = {"splits", "split", "exif", "channels", "classes", "ignore_index", "on_bad", "threshold", "output_subdir"}
NO_PATHS |= {"subdir", "key", "mask_suffix", "group", "family", "limit", "max_value", "columns", "divisor", "label_map"}
NO_PATHS |= {"overwrite", "outside", "form", "fps", "frames", "check", "held_out", "unpaired", "all_files", "for_task"}


@pytest.mark.parametrize(
    "file", [*CONFIGS.glob("*.yaml"), *CONFIGS.glob("dataset/*.yaml"), *CONFIGS.glob("trainer/*.yaml")], ids=str
)
def test_every_key_with_a_file_or_a_folder_is_known_to_hold_a_path(file: Path) -> None:
    for line in file.read_text().splitlines():
        found = re.fullmatch(r" *(\w+): .*# (.*)", line)
        if found and re.search(r"\b(files?|folders?|path|JSON|below root|CSV)\b", found[2].split(";")[0]):
            assert found[1] in overrides.PATHS | NO_PATHS, line


@pytest.mark.parametrize("key", sorted(overrides.PATHS - {"encoder", "model"}))
def test_a_home_folder_and_a_number_arrive_as_typed(key: str) -> None:
    for value in ("~/a b", "2018", "2018_05", "1e5"):
        override = OverridesParser.create().parse_override(overrides.understood(f"x.{key}={value}"))
        assert override.value() == value
    override = OverridesParser.create().parse_override(overrides.understood(f"x.{key}=[~/a, b,2018]"))
    assert override.value() == ["~/a", "b", "2018"]
    override = OverridesParser.create().parse_override(overrides.understood(f"+x.{key}=~/a,2018_05"))
    assert list(override.sweep_string_iterator()) == ["'~/a'", "'2018_05'"]


@pytest.mark.parametrize("word", ["=3", "=", "+=2", ""])
def test_a_word_without_a_key_is_refused(word: str) -> None:
    with pytest.raises(UserError, match="not of the form key=value; see --help"):
        overrides.understood(word)


@pytest.mark.parametrize("word", ["hydra.run.dir=", "runs=''", "dataset.masks= ", "+html=", 'weights.init=""'])
def test_an_empty_path_is_refused(word: str) -> None:
    with pytest.raises(UserError, match=r"^[\w.+]+= is empty; give a path"):
        overrides.understood(word)
    assert overrides.understood("encoder=") == "encoder="
    assert overrides.understood("dataset.mask_suffix=") == "dataset.mask_suffix="


def test_other_values_stay() -> None:
    for word in ("dataset.root='~/a'", "encoder=resnet18", "dataset.images={a: b}", "model=unet,fpn", "seed=2018"):
        assert overrides.understood(word) == word
    assert overrides.understood("weights.encoder=~/x") == "weights.encoder='~/x'"
