"""Runs that a report must not take for seeds of one setting, and evaluations of weights that are no longer the best."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from densepred.reporting import compare, runs
from densepred.reporting.report import make


def write(folder: Path, config: dict[str, object], step: int = 20) -> None:
    """Write a run with the best weights at `step`, and an evaluation of its weights of step 20."""
    (folder / "e").mkdir(parents=True)
    summary = {"monitor": "miou", "mode": "max", "best": {"step": step, "miou": 0.5}}
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "metrics.jsonl").write_text('{"step": 20, "valid/miou": 0.5}\n')
    (folder / "overrides.txt").write_text("model=unet\n")
    (folder / "config.yaml").write_text(json.dumps(config))
    facts = {"checkpoint": str(folder / "best.safetensors"), "split": "valid", "metrics": {"miou": 0.5}, "step": 20}
    (folder / "e" / "metrics.json").write_text(json.dumps(facts))
    held = {"classes": ["a", "b"], "images": {"x": [[0, 0, 9]], "y": [[1, 0, 9]]}}
    (folder / "e" / "per_image_confusion.json").write_text(json.dumps(held))


def notes(folder: Path) -> str:
    return "\n".join(make(runs.find(folder).runs, "title").notes)


def test_seeds_of_one_setting_get_no_note(tmp_path: Path) -> None:
    for seed in (0, 1):
        write(tmp_path / str(seed), {"seed": seed, "optimizer": {"lr": 0.1}, "data": {"workers": seed}})
    text = notes(tmp_path)
    assert "typed alike" not in text
    assert "seed of another" not in text
    assert "are now of step" not in text


def test_runs_that_their_files_tell_apart_are_named(tmp_path: Path) -> None:
    write(tmp_path / "0", {"seed": 0, "optimizer": {"lr": 0.1}})
    write(tmp_path / "1", {"seed": 1, "optimizer": {"lr": 0.2}})
    assert "job 0, job 1 were typed alike, but their settings differ in optimizer.lr: their mean" in notes(tmp_path)


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_a_setting_that_one_run_lacks_is_named(tmp_path: Path, names: str) -> None:
    write(tmp_path / names[0], {"seed": 0, "optimizer": {"lr": 0.1, "momentum": 0.9}})
    write(tmp_path / names[1], {"seed": 1, "optimizer": {"lr": 0.1}})
    write(tmp_path / "c", {})  # a run without a record of its settings lacks none
    (tmp_path / "c" / "config.yaml").unlink()
    assert "a, b, c were typed alike, but their settings differ in optimizer.momentum (not in all): " in notes(tmp_path)


def test_a_seed_that_occurs_twice_is_named(tmp_path: Path) -> None:
    for name in "abc":
        write(tmp_path / name, {"seed": 3})
    assert "2 of a, b, c have the seed of another of them" in notes(tmp_path)


def test_an_evaluation_of_weights_that_were_replaced_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a", {"seed": 0}, step=40)
    text = "The evaluation of a is of its weights of step 20, and the best are now of step 40"
    assert text in notes(tmp_path)


@pytest.mark.parametrize("config", [None, "{", "[1]"])
def test_a_run_without_a_readable_config_is_listed(tmp_path: Path, config: str | None) -> None:
    write(tmp_path / "a", {})
    if config is None:
        (tmp_path / "a" / "config.yaml").unlink()
    else:
        (tmp_path / "a" / "config.yaml").write_text(config)
    (one,) = runs.find(tmp_path).runs
    assert one.config == {}
    assert compare.repeated_seeds(compare.groups([one])[0]) == 0
