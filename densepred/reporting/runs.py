"""Runs and evaluations, read from their folders."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from densepred.errors import UserError
from densepred.output import many
from densepred.reporting.pictures import Picture, listed
from densepred.rundir import provenance
from densepred.settings import DECISIVE, EvalSettings

SUMMARY, METRICS, OVERRIDES, TIMING = "summary.json", "metrics.jsonl", "overrides.txt", "timing.jsonl"
WEIGHTS, CONFIG = "last.safetensors", "config.yaml"
EVALUATION, MATRICES, IMAGES = "metrics.json", "per_image_confusion.json", "per_image.csv"
UNIMPORTANT = ("seed", "hydra.", "trainer.resume", "trainer.allow", "trainer.pictures", "data.workers")
"""Overrides that tell no two settings apart: runs that differ in them alone are seeds of one setting."""
DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, csv.Error)
"""Errors of reading a file that is damaged: what they concern is left out, with a notice."""
Numbers = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Files of densepred-eval: scores of the dataset, and per image if the task has class maps.

    matrices: image to counts (K, K + 1) int64 by (truth, prediction); the last column is void.
    images: image to its scores.
    pictures: of the worst images, worst first.
    checkpoint: best or last; settings: `settings.DECISIVE` and the dataset, None in files that hold none
    step: of the weights that were evaluated, None if it is not known
    """

    folder: Path
    split: str
    metrics: Numbers
    classes: tuple[str, ...] = ()
    matrices: Mapping[str, np.ndarray] = field(default_factory=dict)
    images: Mapping[str, Numbers] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    checkpoint: str = ""
    settings: Mapping[str, Any] | None = None
    step: int | None = None

    def alike(self, other: Evaluation) -> bool:
        """Return True if both have one split, kind of checkpoint and settings, so that their scores compare."""
        return (self.split, self.checkpoint, self.settings) == (other.split, other.checkpoint, other.settings)

    def condition(self) -> str:
        """Return the split, the checkpoint and the settings that are not the usual ones, in words to type."""
        usual, given = EvalSettings(), self.settings or {}
        words = [
            f"{name}={json.dumps(given[name])}"
            for name in DECISIVE
            if name in given and given[name] != getattr(usual, name)
        ]
        return ", ".join(word for word in (self.split, self.checkpoint, *words) if word)

    def matrix(self) -> np.ndarray | None:
        """Return the confusion matrix of all images; None without one."""
        return sum(self.matrices.values()) if self.matrices else None  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Run:
    """A run: its best scores and their step, its curves, what was typed, its evaluations and settings by dotted key."""

    folder: Path
    name: str
    monitor: str
    mode: str  # "max" or "min"
    best: Numbers
    parameters: int | None
    images_per_second: float | None
    peak_memory: float | None
    seconds: float | None
    overrides: tuple[str, ...]
    curves: Mapping[str, Sequence[tuple[int, float]]]  # name to (step, value)
    evaluations: tuple[Evaluation, ...] = ()
    device: str | None = None
    best_step: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def score(self) -> float | None:
        """The best value of the monitored metric."""
        return self.best.get(self.monitor)

    def setting(self) -> tuple[str, ...]:
        """Return the overrides that make the setting, without the seed."""
        return tuple(sorted(word for word in self.overrides if not word.lstrip("+").startswith(UNIMPORTANT)))


class Found(NamedTuple):
    """The runs below a folder, by name, and a sentence for each run or evaluation that is left out."""

    runs: list[Run]
    left_out: list[str]


def find(folder: Path, evaluations: Path | None = None) -> Found:
    """Return all runs below a folder, with evaluations found there and below `evaluations`.

    Runs without a validation and damaged files are left out, each with a sentence. Raises UserError if no run is left.
    """
    if not folder.is_dir():
        raise UserError(f"runs={folder}: there is no such folder; give the folder that holds runs")
    places = [folder, *([evaluations] if evaluations is not None and evaluations.is_dir() else [])]
    left_out: list[str] = []
    found = list(_evaluations(places, left_out))
    runs = []
    for path in _begun(folder):
        try:
            if _validated(path):
                runs.append(_run(path, folder, found))
            else:
                left_out.append(f"left out: {path} (no validation yet)")
        except DAMAGED as error:
            left_out.append(f"left out: {path} ({type(error).__name__}: {str(error)[:100]})")
    if not runs:
        more = "".join(f"; {sentence}" for sentence in left_out[:3]) + "; ..." * (len(left_out) > 3)
        raise UserError(f"runs={folder}: holds no complete run (looked for {METRICS}){more}; give a folder of runs")
    return Found(runs, [*left_out, *_of_none(found, runs, folder)])


def _of_none(evaluations: Sequence[tuple[Path, Evaluation]], runs: Sequence[Run], folder: Path) -> Iterator[str]:
    """Yield a sentence about evaluations of other weights than those of the runs."""
    kept = {one.folder for run in runs for one in run.evaluations}
    others = [f"{one.folder} (of {weights})" for weights, one in evaluations if one.folder not in kept]
    if others:
        shown = ", ".join(others[:3]) + ", ..." * (len(others) > 3)
        yield f"left out: {many(len(others), 'evaluation')} of no run below {folder}: {shown}"


def _begun(folder: Path) -> list[Path]:
    """Return the folders of runs, sorted: those with scores, with a record, or with weights beside a configuration."""
    found = {path.parent for name in (METRICS, OVERRIDES) for path in folder.rglob(name)}
    weights = {path.parent for path in folder.rglob(WEIGHTS)}
    return sorted(found | {path for path in weights if (path / CONFIG).is_file()})


def _validated(folder: Path) -> bool:
    """Return True if a run has a summary or a score; a score without a summary is a damaged run."""
    if (folder / SUMMARY).exists():
        return True
    return (folder / METRICS).exists() and any(name.startswith("valid/") for name in curves(folder / METRICS))


def _run(folder: Path, root: Path, evaluations: Sequence[tuple[Path, Evaluation]]) -> Run:
    summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    typed = folder / OVERRIDES
    words = typed.read_text(encoding="utf-8").splitlines() if typed.is_file() else []
    here = folder.resolve()
    own = tuple(one for checkpoint, one in evaluations if here in checkpoint.parents)
    return Run(
        folder,
        _name(folder, root),
        str(summary["monitor"]),
        str(summary.get("mode", "max")),
        {name: number(value) for name, value in (summary.get("best") or {}).items() if name not in ("step", "epoch")},
        None if (count := number(summary.get("parameters"))) is None else int(count),
        number(summary.get("images_per_second")),
        number(summary.get("peak_memory_mb", summary.get("peak_memory"))),
        number(summary.get("seconds")),
        tuple(word for word in words if word.strip()),
        curves(folder / METRICS),
        own,
        None if (device := summary.get("device")) is None else str(device),
        _step(summary.get("best") or {}),
        _config(folder / CONFIG),
    )


def _step(facts: Mapping[str, Any]) -> int | None:
    return step if isinstance(step := facts.get("step"), int) else None


def _config(path: Path) -> dict[str, Any]:
    """Return the seed and the settings that tell runs apart; {} if the file is absent or damaged."""
    try:
        flat = provenance.flatten(provenance.configuration(path) if path.is_file() else {})
    except UserError:
        return {}
    return {key: value for key, value in flat.items() if key == "seed" or not key.startswith(UNIMPORTANT)}


def number(value: object) -> float | None:
    """Return a finite number, or None if it is undefined. Raises ValueError or OverflowError for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:40]!r} is no finite number")
    return value


def _name(folder: Path, root: Path) -> str:
    """Return the path below `root`; the folder of a sweep's job is a number, which alone would look like a rank."""
    name = str(folder.relative_to(root)) if folder != root else folder.name
    return f"job {name}" if name.isdecimal() else name


def curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Return each series of a metrics.jsonl as (step, value); undefined values are left out."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        for name, value in entry.items():
            if name not in ("step", "epoch") and (measured := number(value)) is not None:
                found.setdefault(name, []).append((int(entry["step"]), float(measured)))
    return found


def _evaluations(places: Sequence[Path], left_out: list[str]) -> Iterator[tuple[Path, Evaluation]]:
    """Yield the weights and the content of each evaluation; add a sentence to `left_out` for each that is damaged."""
    for path in sorted({path for place in places for path in place.rglob(EVALUATION)}):
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(facts["checkpoint"], list):
                raise ValueError("it is of an ensemble, and the report compares single runs")
            yield _located(path, facts), _evaluation(path.parent, facts)
        except DAMAGED as error:
            left_out.append(f"left out: {path} ({type(error).__name__}: {str(error)[:100]})")


def _located(path: Path, facts: Mapping[str, Any]) -> Path:
    """Return the weights that an evaluation was of, wherever this command is typed.

    They lie where they lay beside the evaluation, or where they were. Files that hold only the path as it was typed
    have it below the current folder or below one that holds the evaluation.
    """
    typed, beside = Path(facts["checkpoint"]), facts.get("checkpoint_from_here")
    places = [path.parent / beside] if isinstance(beside, str) else []
    places += [typed] if typed.is_absolute() else [typed, *(folder / typed for folder in path.absolute().parents)]
    return next((place for place in places if place.exists()), typed).resolve()


def _evaluation(folder: Path, facts: Mapping[str, Any]) -> Evaluation:
    matrices: dict[str, np.ndarray] = {}
    classes: tuple[str, ...] = ()
    if (folder / MATRICES).is_file():
        held = json.loads((folder / MATRICES).read_text(encoding="utf-8"))
        classes = tuple(held["classes"])
        for name, entries in held["images"].items():
            matrix = np.zeros((len(classes), len(classes) + 1), np.int64)
            for truth, guess, count in entries:
                matrix[truth, guess] = count
            matrices[name] = matrix
    images: dict[str, Numbers] = {}
    if (folder / IMAGES).is_file():
        with (folder / IMAGES).open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                name = row.pop("image")
                images[name] = {key: number(float(value)) if value else None for key, value in row.items()}
    split, scores = str(facts.get("split", "")), {name: number(value) for name, value in facts["metrics"].items()}
    checkpoint, settings = Path(str(facts["checkpoint"])).stem, facts.get("settings")
    drawn = listed(folder)
    return Evaluation(folder, split, scores, classes, matrices, images, drawn, checkpoint, settings, _step(facts))
