"""Evaluations of a report: chosen by their settings, which stand in the titles."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from tests.reporting.test_report import draw, run


def test_evaluations_of_equal_settings_are_chosen_and_others_named(tmp_path: Path) -> None:
    """The newest evaluation of `b` is of mirrored images; the one before is as that of `a`."""
    for name, score in (("a", 0.9), ("b", 0.8), ("c", 0.7)):
        draw(tmp_path, name, score)
        path = tmp_path / "evaluations" / name / "metrics.json"
        facts = json.loads(path.read_text())
        usual = {"flip": False, "skip_stages": 0, "codec": {}, "boxes": None, "box_threshold": 0.0, "precision": "fp32"}
        path.write_text(json.dumps({**facts, "settings": usual, **({"split": "test"} if name == "c" else {})}))
        if name == "b":
            shutil.copytree(path.parent, path.parent.with_name("newer"))
            newer = {**facts, "settings": {**usual, "flip": True}}
            (path.parent.with_name("newer") / "metrics.json").write_text(json.dumps(newer))
            os.utime(path.parent, (1, 1))
    assert run(tmp_path) == 0
    text = (tmp_path / "out/report.md").read_text()
    assert "## Worst images of b (valid, best)" in text
    assert "## Worst images of c (test, best)" in text
    assert "Evaluations of c have another split, checkpoint, dataset or settings than that of a" in text
    shutil.rmtree(tmp_path / "evaluations/b")
    assert run(tmp_path, "overwrite=true") == 0
    text = (tmp_path / "out/report.md").read_text()
    assert "## Worst images of b (valid, best, flip=true)" in text
    assert "a and b are not compared: their classes, splits, settings, images or labels differ." in text
