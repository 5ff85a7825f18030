"""Runs that were validated on other images, labels or metrics do not compare, and others do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from densepred.reporting import runs
from densepred.reporting.report import make
from densepred.rundir import validated
from densepred.sweep.job import ended
from densepred.sweep.table import unlike

DATASET = {"_target_": "folder", "root": "d", "label_map": None, "fold": 0, "channels": None, "counts": {"train": 9}}
METRIC = {"confusion": {"_target_": "confusion", "bins": 3}}


def write(folder: Path, digest: str | None, root: str = "/d", split: str = "", **sections: Any) -> Path:
    """Write the files of a run that was validated on the images of a digest, or of no list."""
    folder.mkdir(parents=True)
    best = {"step": 1, "miou": 0.5, f"iou/{split or 'sky'}": 0.5}
    (folder / "summary.json").write_text(json.dumps({"monitor": "miou", "mode": "max", "best": best}))
    (folder / "metrics.jsonl").write_text('{"step": 1, "valid/miou": 0.5}\n')
    (folder / "overrides.txt").write_text("")
    (folder / "config.yaml").write_text(json.dumps({"dataset": DATASET, "metric": METRIC, **sections}))
    if digest is not None:
        splits = {"root": root, "splits": {"valid": {"count": 3, "digest": digest}}}
        (folder / "splits.json").write_text(json.dumps(splits))
    return folder


def told(folder: Path) -> list[str]:
    """Return the sentences of a report and of a sweep, which must agree, on the runs `a` and `b` of a folder."""
    notes = [note for note in make(runs.find(folder).runs, "title").notes if "do not compare" in note]
    jobs = [ended(number, [], folder / name, 0, 1.0) for number, name in enumerate("ab")]
    again = [one.replace("job 0", "a").replace("job 1", "b") for one in unlike(jobs)]
    assert notes == again
    return notes


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ({"digest": "x"}, {"digest": "y"}, "validation images"),
        ({"digest": "x"}, {"digest": "x", "root": "/e"}, "the folder of equally named images (dataset.root)"),
        ({"digest": "x"}, {"digest": "x", "dataset": {**DATASET, "label_map": {"1": 0}}}, "dataset.label_map:"),
        ({"digest": "x"}, {"digest": "x", "metric": {"confusion": {"bins": 4}}}, "metric.confusion._target_, "),
        ({"digest": "x"}, {"digest": "x", "metric": {"mask_ap": {}}}, "metrics (confusion and mask_ap)"),
        ({"digest": "x"}, {"digest": "x", "split": "road"}, "classes"),
        ({"digest": None}, {"digest": None, "dataset": {**DATASET, "fold": 1}}, "dataset.fold"),
        ({"digest": None}, {"digest": None, "dataset": {"_target_": "coco"}}, "the kind of dataset:"),
    ],
)
def test_runs_that_were_validated_otherwise_are_named(
    tmp_path: Path, first: dict[str, Any], second: dict[str, Any], reason: str
) -> None:
    write(tmp_path / "a", **first)
    write(tmp_path / "b", **second)
    (sentence,) = told(tmp_path)
    assert sentence.startswith(f"The validations of a and of b differ in {reason}")


@pytest.mark.parametrize(
    "second",
    [
        {"dataset": {**DATASET, "fold": 1, "counts": {"train": 5}}},  # the images of validation are the same
        {"dataset": {**DATASET, "channels": [1, 2, 3]}},  # read otherwise, as the runs of a comparison may be
        {"metric": {**METRIC, "boundary_iou": {"ratio": 1}}},  # a score more
        {"optimizer": {"lr": 1}},
    ],
)
def test_runs_that_were_validated_alike_get_no_sentence(tmp_path: Path, second: dict[str, Any]) -> None:
    write(tmp_path / "a", "x")
    write(tmp_path / "b", "x", **second)
    assert told(tmp_path) == []


def test_links_to_one_dataset_are_one(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    roots = [str(tmp_path / "data"), str(tmp_path / "link")]
    found = [validated.read(write(tmp_path / name, "x", root)) for name, root in zip("ab", roots, strict=True)]
    assert validated.unlike(*found) == []


def test_equal_differences_make_one_sentence(tmp_path: Path) -> None:
    found = [(name, validated.read(write(tmp_path / name, name))) for name in "abc"]
    assert validated.sentences(found) == [
        "The validations of a and of b, c differ in validation images: their scores do not compare."
    ]


def test_evaluations_of_two_splits_do_not_compare(tmp_path: Path) -> None:
    for name, split in (("a", "valid"), ("b", "test")):
        (tmp_path / name).mkdir()
        facts = {"split": split, "metrics": {"miou": 0.5}, "settings": {"dataset": DATASET}}
        (tmp_path / name / "metrics.json").write_text(json.dumps(facts))
    found = [validated.read(tmp_path / name) for name in "ab"]
    assert validated.unlike(*found) == ["dataset.split"]


def test_evaluations_by_another_metric_of_one_name_do_not_compare(tmp_path: Path) -> None:
    for name, width in (("a", 1), ("b", 9)):
        (tmp_path / name).mkdir()
        facts = {
            "metrics": {"boundary_iou": 0.5},
            "settings": {"dataset": DATASET, "metric": {"edge": {"width": width}}},
        }
        (tmp_path / name / "metrics.json").write_text(json.dumps(facts))
    found = [validated.read(tmp_path / name) for name in "ab"]
    assert validated.unlike(*found) == ["metric.edge.width"]


@pytest.mark.parametrize("text", ["{", "[]", '{"splits": 3}', '{"splits": {"valid": []}}'])
def test_damaged_files_count_as_absent(tmp_path: Path, text: str) -> None:
    for name in ("splits.json", "config.yaml", "summary.json"):
        (tmp_path / name).write_text(text)
    assert validated.unlike(validated.read(tmp_path), validated.Validated("/d", "x")) == []
