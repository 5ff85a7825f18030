"""The run that an evaluation belongs to, from whatever folder the report is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from densepred.reporting import runs
from tests.reporting.test_report import draw


def written(folder: Path, name: str, **facts: object) -> Path:
    """Draw a run and its evaluation, with other facts about its weights."""
    draw(folder, name, 0.5, "loss=ce")
    file = folder / "evaluations" / name / "metrics.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))
    (folder / "runs" / name / "best.safetensors").touch()
    return file


def belonging(folder: Path) -> int:
    (one,) = runs.find(folder / "runs", folder / "evaluations").runs
    return len(one.evaluations)


@pytest.mark.parametrize("beside", [None, "../../runs/a/best.safetensors"])
def test_an_evaluation_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: str | None
) -> None:
    typed = "runs/a/best.safetensors" if beside is None else str(tmp_path / "first/runs/a/best.safetensors")
    written(tmp_path / "first", "a", checkpoint=typed, checkpoint_from_here=beside)
    for place in (tmp_path / "first", tmp_path, Path("/")):
        monkeypatch.chdir(place)
        assert belonging(tmp_path / "first") == 1
    shutil.move(tmp_path / "first", tmp_path / "moved")
    assert belonging(tmp_path / "moved") == 1
    shutil.move(tmp_path / "moved/evaluations", tmp_path / "moved/deeper/down/evaluations")
    found = runs.find(tmp_path / "moved/runs", tmp_path / "moved/deeper")
    assert (len(found.runs[0].evaluations), len(found.left_out)) == ((1, 0) if beside is None else (0, 1))


def test_evaluations_of_no_run_are_counted(tmp_path: Path) -> None:
    for name in "abcde":
        written(tmp_path, name)
    shutil.move(tmp_path / "runs/a", tmp_path / "others/a")
    for name in "bcd":
        shutil.rmtree(tmp_path / "runs" / name)
    found = runs.find(tmp_path / "runs", tmp_path / "evaluations")
    assert [one.name for one in found.runs] == ["e"]
    (line,) = found.left_out
    assert line.startswith(f"left out: 4 evaluations of no run below {tmp_path / 'runs'}: ")
    assert line.endswith(", ...")
