"""The content of a report on runs, independent of its form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from densepred.reporting import compare
from densepred.reporting.pictures import Picture
from densepred.reporting.runs import Evaluation, Numbers, Run
from densepred.rundir import validated

WORST = 10
"""Images with the lowest scores that are listed."""
DIFFER = "overrides that differ"
FEW = 3  # settings that a note names
FIXED = ("run", "metric", "score", DIFFER, "parameters", "images/s", "minutes", "device")
MEMORY = ("GPU memory MB", "process memory MB", "memory MB")
"""Columns of peak memory: that of the GPU, that of the process in runs without one, and that of an unknown device."""


@dataclass(frozen=True, slots=True)
class Worst:
    """The images of an evaluation with the worst scores, as (name, score), and the pictures that it drew of them."""

    metric: str
    images: list[tuple[str, float]]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """Quality against training speed for one metric: run to (images per second, score), and the Pareto front."""

    points: dict[str, tuple[float, float]]
    front: set[str]


@dataclass(frozen=True, slots=True)
class Report:
    """Tables and series of a report.

    rows: one per run, with a value per name of `columns`: numbers, text, or None.
    differing: per run, the overrides that not all runs share.
    curves: name of the series to run to (step, value).
    scores: kind of score, such as "iou", to the runs that have it, and their score of each class.
    speeds: metric, and device if there are several, to its front: other metrics and devices do not compare.
    matrices: per run, class names and confusion matrix (K, K + 1).
    worst: per run, its evaluation's worst images, worst first.
    conditions: per run, the split, checkpoint and unusual settings of its evaluation, for titles.
    notes: facts that the reader must know, such as parts that are missing and why.
    """

    title: str
    columns: list[str]
    rows: list[list[str | float | int | None]]
    differing: dict[str, list[str]]
    groups: list[compare.Group]
    curves: dict[str, dict[str, Sequence[tuple[int, float]]]]
    scores: dict[str, dict[str, Numbers]]
    speeds: dict[str, Speed]
    matrices: dict[str, tuple[tuple[str, ...], np.ndarray]]
    tests: list[compare.Test]
    worst: dict[str, Worst]
    conditions: dict[str, str]
    notes: list[str]


def make(runs: Sequence[Run], title: str, left_out: Sequence[str] = ()) -> Report:
    """Return the report on runs, best score first; `left_out` are sentences on runs that could not be read."""
    order = sorted(runs, key=lambda run: (run.score is None, run.monitor, _rank(run)))
    notes = [*left_out]
    if len(monitors := {run.monitor for run in order}) > 1:
        notes.append(
            f"The runs monitor different metrics ({', '.join(sorted(monitors))}): their scores do not compare."
        )
    notes += [note for monitor in sorted(monitors) for note in _of_validations(order, monitor)]
    typed = compare.differing(order)
    scores = _scores(order)
    per_class = list(dict.fromkeys((kind, name) for kind, of in scores.items() for one in of.values() for name in one))
    memory = [name for name in MEMORY if any(_memory(run, name) is not None for run in order)]
    columns = [*FIXED, *memory, *("/".join(both) for both in per_class)]
    rows = [
        [
            *_fixed(run, " ".join(typed[run.name])),
            *(_memory(run, name) for name in memory),
            *(scores[kind].get(run.name, {}).get(name) for kind, name in per_class),
        ]
        for run in order
    ]
    evaluated = _evaluated(order)
    counted = {name: one for name, one in evaluated.items() if one.matrices}
    speeds = _speeds(order, notes)
    notes += [*_missing(order, evaluated), *_replaced(order, evaluated)]
    groups = compare.groups(order)
    notes += [note for group in groups for note in _of_seeds(group)]
    return Report(
        title,
        columns,
        rows,
        typed,
        groups,
        _curves(order),
        scores,
        speeds,
        {name: (one.classes, sum(one.matrices.values())) for name, one in counted.items()},  # type: ignore[misc]
        _tests(counted, notes),
        {name: worst(one) for name, one in evaluated.items()},
        {name: one.condition() for name, one in evaluated.items()},
        notes,
    )


def _scores(runs: Sequence[Run]) -> dict[str, dict[str, Numbers]]:
    """Return the scores per class by their kind, as runs of different tasks have different ones."""
    found: dict[str, dict[str, Numbers]] = {}
    for run in runs:
        kind, values = compare.class_scores(run)
        if values:
            found.setdefault(kind, {})[run.name] = values
    return found


def _rank(run: Run) -> float:
    """Return a number that is smaller for a better score."""
    return (-1 if run.mode == "max" else 1) * (run.score or 0.0)


def _speeds(runs: Sequence[Run], notes: list[str]) -> dict[str, Speed]:
    """Return quality against speed per metric and device; add a note on the runs without a score or a speed."""
    found: dict[str, Speed] = {}
    left_out = []
    devices = {run.device for run in runs if run.score is not None and run.images_per_second is not None}
    several = len(devices) > 1
    titles = {run.name: f"{run.monitor} on {run.device or 'an unknown device'}" for run in runs}
    titles = titles if several else {run.name: run.monitor for run in runs}
    for run in runs:
        if run.score is None or run.images_per_second is None:
            left_out.append(f"{run.name} ({'no score' if run.score is None else 'images/s is not known'})")
        else:
            speed = found.setdefault(titles[run.name], Speed({}, set()))
            speed.points[run.name] = run.images_per_second, run.score
    for run in runs:
        if titles[run.name] in found:
            speed = found[titles[run.name]]
            speed.front.update(compare.pareto(speed.points, run.mode) & {run.name})
    if several:
        text = "each has its own front."
        notes.append(f"The runs had {len(devices)} devices, whose speeds do not compare: {text}")
    if left_out:
        notes.append(f"Left out of quality against speed: {', '.join(left_out)}.")
    return found


def _fixed(run: Run, differing: str) -> list[str | float | int | None]:
    minutes = None if run.seconds is None else run.seconds / 60
    costs = [run.parameters, run.images_per_second, minutes, run.device]
    return [run.name, run.monitor, run.score, differing, *costs]


def _memory(run: Run, column: str) -> float | None:
    """Return the peak memory of a run if it belongs into this column."""
    of = {"cpu": "process memory MB", None: "memory MB"}.get(run.device, "GPU memory MB")
    return run.peak_memory if column == of else None


def _evaluated(runs: Sequence[Run]) -> dict[str, Evaluation]:
    """Return the newest evaluation of each run with confusion matrices per image, or of other tasks with pictures.

    Of the first run it is the newest of all. Of the others those with its split, checkpoint and settings go first.
    """
    chosen: dict[str, Evaluation] = {}
    for run in runs:
        found = [one for one in run.evaluations if one.matrices] or [one for one in run.evaluations if one.pictures]
        first = next(iter(chosen.values()), None)
        found = [one for one in found if first is not None and one.alike(first)] or found
        if found:
            chosen[run.name] = max(found, key=lambda one: one.folder.stat().st_mtime)
    return chosen


def _missing(runs: Sequence[Run], evaluated: Mapping[str, Evaluation]) -> list[str]:
    """Tell which parts the report lacks for which runs, and how to get them."""
    again = "for each, then make the report again."
    notes = []
    first = next(iter(evaluated), "")
    if names := [name for name, one in evaluated.items() if not one.alike(evaluated[first])]:
        text = f"Evaluations of {', '.join(names)} have another split, checkpoint, dataset or settings than that of"
        notes.append(f"{text} {first}: their matrices and worst images do not compare.")
    if names := [run.name for run in runs if not run.evaluations]:
        text = "No confusion matrix, significance test or worst images of"
        which = f"any of the {len(names)} runs" if len(runs) == len(names) > 1 else ", ".join(names)
        notes.append(f"{text} {which}: type densepred-eval ckpt=RUN {again}")
    if names := [run.name for run in runs if run.evaluations and not _drawn(evaluated.get(run.name))]:
        text = "Evaluations on crops of instances and with pictures=0 draw none; of others"
        notes.append(
            f"No pictures of the worst images of {', '.join(names)}. {text}, type densepred-eval ckpt=RUN {again}"
        )
    return notes


def _replaced(runs: Sequence[Run], evaluated: Mapping[str, Evaluation]) -> Iterator[str]:
    """Tell of evaluations of best weights that training has replaced since."""
    for run in runs:
        one = evaluated.get(run.name)
        if one is None or one.checkpoint != "best" or None in (one.step, run.best_step) or one.step == run.best_step:
            continue
        text = f"The evaluation of {run.name} is of its weights of step {one.step}, and the best are now of step"
        yield f"{text} {run.best_step}: type densepred-eval ckpt=RUN for it, then make the report again."


def _of_validations(runs: Sequence[Run], monitor: str) -> list[str]:
    """Tell of runs with scores of one name that were measured on other images, or otherwise, than those of the best."""
    scored = [run for run in runs if run.monitor == monitor and run.score is not None]
    return validated.sentences([(run.name, validated.read(run.folder)) for run in scored])


def _of_seeds(group: compare.Group) -> Iterator[str]:
    """Tell of runs that were typed alike, and are no runs of one setting with a seed each."""
    names = ", ".join(run.name for run in group.runs)
    if keys := compare.unlike(group):
        more = f" and {len(keys) - FEW} more" if len(keys) > FEW else ""
        fact = f"but their settings differ in {', '.join(keys[:FEW])}{more}"
        yield f"{names} were typed alike, {fact}: their mean and standard deviation are not those of seeds."
    if count := compare.repeated_seeds(group):
        yield f"{count} of {names} have the seed of another of them: the standard deviation is too small."


def _drawn(evaluation: Evaluation | None) -> bool:
    return evaluation is not None and bool(evaluation.pictures)


def _curves(runs: Sequence[Run]) -> dict[str, dict[str, Sequence[tuple[int, float]]]]:
    """Return the curves of the monitored metrics and of the losses; those of a single point come last."""
    wanted = [*dict.fromkeys(f"valid/{run.monitor}" for run in runs)]
    names = dict.fromkeys(name for run in runs for name in run.curves)
    wanted += [name for name in names if name.endswith(("loss/total", "loss")) and name not in wanted]
    found = {name: {run.name: run.curves[name] for run in runs if name in run.curves} for name in wanted}
    shown = [(name, one) for name, one in found.items() if one]
    return dict(sorted(shown, key=lambda item: max(map(len, item[1].values())) == 1))


def _tests(evaluated: Mapping[str, Evaluation], notes: list[str]) -> list[compare.Test]:
    """Compare the best run with each other one; say which pairs cannot be compared."""
    names = list(evaluated)
    found = []
    for other in names[1:]:
        test = compare.paired(names[0], evaluated[names[0]], other, evaluated[other])
        if test is None:
            facts = "classes, splits, settings, images or labels"
            notes.append(f"{names[0]} and {other} are not compared: their {facts} differ.")
        else:
            found.append(test)
    if len(found) > 1:
        notes.append(f"The intervals hold for each pair alone; with {len(found)} pairs one may exclude zero by chance.")
    return found


def worst(one: Evaluation, count: int = WORST) -> Worst:
    """Return the images with the lowest mean IoU; if the task has another score, those that the evaluation drew.

    Images without a labelled pixel are left out.
    """
    if not one.matrices or any(each.metric != "miou" for each in one.pictures):
        drawn = one.pictures[:count]
        return Worst(drawn[0].metric if drawn else "", [(each.image, each.score) for each in drawn], one.pictures)
    scores = {name: float(compare.miou(matrix)) for name, matrix in one.matrices.items()}
    known = [(name, value) for name, value in scores.items() if value == value]
    return Worst("mIoU", sorted(known, key=lambda pair: (pair[1], pair[0]))[:count], one.pictures)
