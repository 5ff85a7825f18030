"""The summary of a run that was stopped in its last validation, and only validates after that."""

from __future__ import annotations

import json
from pathlib import Path

from tests import running


def validated(run: Path) -> list[str]:
    """Return the training loss of each line on a validation at step 2."""
    lines = (run / "train.log").read_text().splitlines()
    return [line.partition("loss train")[2].split()[0] for line in lines if "step     2  loss train" in line]


def test_speed_and_loss_are_kept(tmp_path: Path) -> None:
    words = ("trainer.max_steps=2", "encoder.widths=[2,4]")
    assert running.train(tmp_path, *words) == 0
    path = tmp_path / "summary.json"
    known = json.loads(path.read_text())["images_per_second"]
    (first,) = validated(tmp_path)
    path.unlink()
    assert running.train(tmp_path, *words, f"trainer.resume={tmp_path}") == 0
    assert known is not None
    assert json.loads(path.read_text())["images_per_second"] == known
    assert validated(tmp_path)[-1] == first != "-"


def test_the_peak_of_memory_is_that_of_all_starts(tmp_path: Path) -> None:
    words = ("trainer.max_steps=1", "encoder.widths=[2,4]")
    assert running.train(tmp_path, *words) == 0
    path = tmp_path / "summary.json"
    for known, expected in ((10**7, 10**7), ("many", None)):
        path.write_text(json.dumps({"peak_memory_mb": known}))
        assert running.train(tmp_path, *words, f"trainer.resume={tmp_path}", "trainer.allow=[trainer.max_steps]") == 0
        found = json.loads(path.read_text())["peak_memory_mb"]
        assert found == expected if expected else 0 < found < 10**7
