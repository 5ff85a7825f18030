"""The command of a sweep in its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.errors import UserError
from densepred.sweep import ledger, record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ledger.NAME).touch()
    words = ["--config-dir", "mine", "-m", "seed=1,2", "++trainer.max_steps=3", "hydra.sweep.dir=former"]
    record.write(tmp_path, "train", words)
    return tmp_path


def test_a_sweep_is_typed_anew_from_its_folder(folder: Path) -> None:
    assert record.restored("train", ["seed=1"]) == ["seed=1"]
    found = record.restored("train", [f"sweep.resume='{folder}'", "trainer.max_steps=4", "sweep.retry=true"])
    first, again = ["--multirun", "--config-dir", "mine", "seed=1,2"], ["trainer.max_steps=4", "sweep.retry=true"]
    assert found == [*first, *again, f'hydra.sweep.dir="{folder}"']


def test_a_secret_is_typed_again(folder: Path) -> None:
    record.write(folder, "train", ["weights.init=http://me:hunter2@host/w"])
    assert "hunter2" not in (folder / record.FILE).read_text()
    with pytest.raises(UserError, match=r"weights\.init held a secret"):
        record.restored("train", [f"sweep.resume={folder}"])
    assert record.restored("train", [f"sweep.resume={folder}", "weights.init=w"])[1] == "weights.init=w"


def test_a_folder_without_a_sweep_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"type densepred-train sweep\.resume="):
        record.restored("eval", [f"sweep.resume={folder}"])
    (folder / record.FILE).write_text("{}")
    with pytest.raises(UserError, match=r"command\.json: is damaged"):
        record.restored("train", [f"sweep.resume={folder}"])
    (folder / ledger.NAME).unlink()
    with pytest.raises(UserError, match=r"there is no ledger\.jsonl"):
        record.restored("train", [f"sweep.resume={folder}"])
    with pytest.raises(UserError, match="names no folder"):
        record.restored("train", ["sweep.resume="])
