"""Fronts per metric, overrides on a terminal, and digits of a report."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from densepred.reporting.text import _fitted, shown
from tests.reporting.test_report import draw, run


def test_each_metric_has_its_front_and_runs_without_a_speed_are_named(tmp_path: Path) -> None:
    """A nuclei_ap of 0.9 beats no miou of 0.6, and the lower of two errors leads."""
    for name, score in (("a", 0.6), ("b", 0.8), ("n", 0.9), ("e", 0.2), ("f", 0.1), ("slow", 0.7)):
        draw(tmp_path, name, score, evaluated=False)
    changes = {
        "n": {"monitor": "nuclei_ap", "best": {"nuclei_ap": 0.9}},
        "e": {"monitor": "mae", "mode": "min", "best": {"mae": 0.2}, "images_per_second": 5},
        "f": {"monitor": "mae", "mode": "min", "best": {"mae": 0.1}, "images_per_second": 5},
        "slow": {"images_per_second": None},
    }
    for name, change in changes.items():
        path = tmp_path / "runs" / name / "summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert run(tmp_path) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "- mae: f\n- miou: b\n- nuclei_ap: n\n" in text
    assert "Left out of quality against speed: slow (images/s is not known)." in text
    page_text = (tmp_path / "out" / "index.html").read_text()
    for metric in ("miou", "nuclei_ap", "mae"):
        assert f'aria-label="{metric} against training speed' in page_text


def test_each_device_has_its_front(tmp_path: Path) -> None:
    """A GPU is faster than a CPU whatever the model."""
    for name, score, device in (("a", 0.6, "cpu"), ("b", 0.8, "NVIDIA H100"), ("c", 0.5, "cpu")):
        draw(tmp_path, name, score, evaluated=False)
        path = tmp_path / "runs" / name / "summary.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"device": device}))
    assert run(tmp_path) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "- miou on NVIDIA H100: b\n- miou on cpu: a\n" in text
    assert "The runs had 2 devices, whose speeds do not compare" in text
    rows = {row["run"]: row for row in csv.DictReader((tmp_path / "out" / "runs.csv").open())}
    assert [(rows[name]["GPU memory MB"], rows[name]["process memory MB"]) for name in "ab"] == [
        ("", "500"),
        ("500", ""),
    ]
    assert "memory MB" not in rows["a"]


def test_overrides_on_a_terminal_begin_with_those_of_few_runs_and_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    many = [f"dataset.key_{number}=some_long_value" for number in range(6)]
    draw(tmp_path, "a", 0.6, *many, "trainer.max_steps=12")
    draw(tmp_path, "b", 0.7, *many, "trainer.max_steps=60")
    draw(tmp_path, "other", 0.5)
    assert run(tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()[1:6]
    assert max(map(len, lines)) <= 80
    assert [re.search(r"max_steps=\d+ dataset.* \+\d", line) is not None for line in lines[2:4]] == [True, True]
    words = [["encoder.output_stride=16", "loss=ce", "model=deeplabv3"], ["loss=ce", "model=unet"]]
    rows = _fitted(["setting", "mean"], [["", "0.1"], ["", "0.2"]], 0, [words[0], words[0]], 40)
    assert rows[0] == ["loss=ce model=deeplabv3 +1", "0.1"], "a single setting may follow from a choice"
    text = (tmp_path / "out" / "report.md").read_text()
    assert " ".join([*many, "trainer.max_steps=12"]) in text


def test_costs_have_sensible_digits_and_text_stands_on_the_left(tmp_path: Path) -> None:
    for value, want in ((0.3333, "0.33"), (3.9833, "4.0"), (1.0, "1.0"), (533.2, "533"), (None, "-")):
        assert shown(value, "images/s") == want
    draw(tmp_path, "a", 0.6)
    assert run(tmp_path) == 0
    text = (tmp_path / "out" / "index.html").read_text()
    assert re.search(r'<th scope="col" class="text">\s*<button type="button">metric<', text)
    assert re.search(r'<td data-value="miou" class="text">miou</td>', text)
    assert re.search(r'<th scope="col">\s*<button type="button">score<', text)
    assert ">1.5</td>" in text  # minutes


@pytest.mark.parametrize(
    ("value", "want"), [(0.5, "0.5000"), (0.00004, "4e-05"), (-0.00031, "-0.00031"), (0.0, "0.0000"), (12.34, "12.3")]
)
def test_small_scores_keep_two_digits(value: float, want: str) -> None:
    assert shown(value, "score") == want
