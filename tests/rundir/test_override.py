"""Hydra's signs before a key, and a key that is typed twice, change nothing of what a word means."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from densepred import train
from densepred.errors import UserError
from densepred.eval import dataset_of_checkpoint
from densepred.rundir import override, provenance
from densepred.settings import TrainerSettings
from densepred.sweep import record
from tests.cli.test_inherit import taken
from tests.conftest import composed


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    """Two runs, of other learning rates; the second was recorded with a permission, as before this test."""
    found = (tmp_path / "a", tmp_path / "b")
    for folder, rate in zip(found, ("0.1", "0.2"), strict=True):
        folder.mkdir()
        provenance.write(folder, provenance.as_written(composed()), [f"optimizer.lr={rate}"])
    (found[1] / provenance.OVERRIDES).write_text("optimizer.lr=0.2\n++trainer.allow=[optimizer.lr]\n")
    return found


@pytest.mark.parametrize("word", ["a.b=1", "+a.b=1", "++a.b=1", "~a.b=1"])
def test_the_key_is_that_of_hydra(word: str) -> None:
    assert override.key(word) == OverridesParser.create().parse_override(word).key_or_group


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_a_run_goes_on_with_its_settings_and_the_last_word_counts(sign: str, runs: tuple[Path, Path]) -> None:
    first, second = runs
    assert train.recorded([f"{sign}trainer.resume='{first}'"]) == ["optimizer.lr=0.1"]
    assert train.recorded([f"trainer.resume={first}", f"{sign}trainer.resume={second}"]) == ["optimizer.lr=0.2"]
    assert train.recorded([f"{sign}trainer.resume={first}", "++optimizer.lr=3"]) == []
    assert train.prepared([f"{sign}trainer.resume={first}", "encoder=resnet18"]) == ["optimizer.lr=0.1"]


@pytest.mark.parametrize("sign", ["", "+", "++"])
def test_what_is_for_one_start_is_not_recorded(sign: str) -> None:
    words = [f"{sign}trainer.allow=[optimizer.lr]", f"{sign}trainer.resume=runs/a", "seed=1"]
    assert provenance.of_run(words) == ["seed=1"]


def test_signs_hide_no_run_from_the_other_commands(runs: tuple[Path, Path], tmp_path: Path) -> None:
    assert taken(f"++weights.init={runs[0]}") == taken(f"weights.init={runs[0]}") != []
    with pytest.raises(UserError, match="no folder of a sweep"):
        record.restored("train", [f"++sweep.resume={tmp_path}"])
    with pytest.raises(UserError, match="no such"):
        dataset_of_checkpoint([f"++ckpt={tmp_path / 'none'}"])


@pytest.mark.parametrize(
    "trainer", [TrainerSettings(resume="runs/a"), TrainerSettings(allow=["optimizer.lr"])], ids=["resume", "allow"]
)
def test_one_start_is_not_set_in_files_or_mappings(trainer: TrainerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.command, "overrides", lambda: ["trainer={resume: runs/a}"])
    with pytest.raises(UserError, match=r"set in a file or a mapping.*; type '?trainer\."):
        train.require_words(trainer)
    monkeypatch.setattr(
        train.command, "overrides", lambda: ["++trainer.resume=runs/a", "+trainer.allow=[optimizer.lr]"]
    )
    train.require_words(trainer)
