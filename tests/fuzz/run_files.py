"""Text files of runs, evaluations and sweeps, and the functions that commands read them with."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

from densepred.reporting import page, report, runs, text
from densepred.rundir import provenance, splits
from densepred.sweep import job, ledger, record, scores
from tests.reporting.test_report import draw

REPORTED = (
    "runs/a/summary.json",
    "runs/a/metrics.jsonl",
    "runs/a/overrides.txt",
    "evaluations/a/metrics.json",
    "evaluations/a/per_image_confusion.json",
    "evaluations/a/per_image.csv",
    "evaluations/a/pictures/pictures.json",
)
RECORDED = ("overrides.txt", "config.yaml", "splits.json")
SWEPT = ("ledger.jsonl", "command.json", "0/summary.json", "0/metrics.jsonl")


def write_reported(folder: Path, variant: int) -> Path:
    """Write two runs with an evaluation each; return the file to damage."""
    for name, score in (("a", 0.6), ("b", 0.8)):
        draw(folder, name, score, "loss=ce", "model=unet")
        rows = "".join(f"{number}.png,{score},0.9\n" for number in range(6))
        (folder / "evaluations" / name / "per_image.csv").write_text(f"image,miou,pixel_accuracy\n{rows}")
    return folder / REPORTED[variant]


def read_reported(path: Path) -> None:
    """Make the report on all runs, as densepred-report does."""
    root = next(folder for folder in path.parents if (folder / "evaluations").is_dir())
    found = runs.find(root / "runs", root / "evaluations")
    made = report.make(found.runs, "runs", found.left_out)
    page.as_html(made, 100)
    text.as_markdown(made)
    text.as_csv(made)


def write_recorded(folder: Path, variant: int) -> Path:
    (folder / "overrides.txt").write_text("model=unet\nencoder.widths=[4,8]\ntrainer.epochs=3\n")
    (folder / "config.yaml").write_text("model:\n  heads: null\nencoder:\n  widths:\n  - 4\n  - 8\nseed: 0\n")
    members = {"count": 2, "digest": "0123", "names": ["a.png", "b.png"]}
    (folder / "splits.json").write_text(json.dumps({"root": str(folder), "splits": {"train": members}}))
    return folder / RECORDED[variant]


def read_recorded(path: Path) -> None:
    """Read the record of a run, as resuming, evaluation and `weights.init` do."""
    with contextlib.redirect_stderr(io.StringIO()):
        provenance.overrides(path.parent)
    provenance.configuration(path.parent / "config.yaml")
    found = splits.read(path.parent)
    if found is not None:
        splits.changes(found, found)


def write_swept(folder: Path, variant: int) -> Path:
    (folder / "0").mkdir()
    best = {"step": 20, "miou": 0.5}
    summary = {"monitor": "miou", "mode": "max", "best": best, "last": best, "parameters": 1234}
    (folder / "0/summary.json").write_text(json.dumps(summary))
    lines = [{"step": step, "epoch": 0, "valid/miou": step / 40} for step in (5, 10, 20)]
    (folder / "0/metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    events = ledger.Ledger(folder)
    begun = ledger.Entry(0, ["loss=ce"], "0123", "begun", "0")
    events.write(begun)
    events.write(begun.ended("done", 0, 0.5, 3.0))
    record.write(folder, "train", ["--multirun", "loss=ce,dice"])
    return folder / SWEPT[variant]


def read_swept(path: Path) -> None:
    """Read the folder of a sweep, as `sweep.resume` and the table of a sweep do."""
    sweep = path.parent if path.name in SWEPT else path.parents[1]
    record.restored("train", [f"sweep.resume={sweep}"])
    ledger.Ledger(sweep).former(sweep / "0", "0123")
    scores.Scores(sweep / "0").new("miou")
    ended = job.ended(0, ["loss=ce"], sweep / "0", 0, 3.0)
    job.result(ended, 0, 1)


READERS: dict[str, tuple[Callable[[Path, int], Path], Callable[[Path], None], int]] = {
    "report": (write_reported, read_reported, len(REPORTED)),
    "record": (write_recorded, read_recorded, len(RECORDED)),
    "sweep": (write_swept, read_swept, len(SWEPT)),
}
