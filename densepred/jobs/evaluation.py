"""One evaluation, from its settings to its table."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from densepred import atomic, distributed, output
from densepred.build.instantiate import build
from densepred.contracts import Dataset, Model
from densepred.dataset.paths import split_word
from densepred.engine import ensemble, temperature
from densepred.engine.ablation import Ablation, gradient_shares
from densepred.engine.amp import Precision
from densepred.engine.diagnostics import probe
from densepred.engine.evaluate import evaluate
from densepred.engine.oracle import Oracle
from densepred.engine.temperature import Samples
from densepred.errors import Notice, UserError, notices
from densepred.home import expand, from_here
from densepred.jobs import calibrating, moved, overlap
from densepred.jobs.content import warn_of_missing
from densepred.jobs.parts import dataset as make_dataset
from densepred.jobs.parts import evaluation_loader, random_split, read_as_trained, record
from densepred.jobs.per_image import PerImage
from densepred.jobs.printed_summary import images_line
from densepred.loader import by_name
from densepred.loader.loaders import EvaluationLoader, explained
from densepred.loader.workers import ending_children
from densepred.output import many
from densepred.process import memory, processors, starting
from densepred.results.person_boxes import BoxFile, BoxFilter
from densepred.rundir import console, splits
from densepred.settings import DECISIVE, EvalSettings
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Batch, Outputs
from densepred.weights.header import VALID_BATCH, find_weights, read_header


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """An evaluation, complete in itself: it is sent to other processes."""

    settings: EvalSettings
    folder: Path
    secrets: tuple[str, ...] = field(default_factory=output.secrets)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report beside the metrics: its key in metrics.json, the facts there, and a table."""

    key: str
    facts: Mapping[str, Any]
    table: str


@ending_children()
def work(job: EvaluationJob) -> int:
    """Evaluate; return the exit code."""
    output.install(job.secrets)
    settings = job.settings
    starting.imported()
    processors.use_threads(settings.threads)
    device = distributed.join(settings.timeout_s, "timeout_s")
    if device.type == "cpu":
        memory.keep()
    try:
        with explained(), notices(_warn, _remark):
            _evaluate(job, device)
    finally:
        distributed.leave(failed=sys.exc_info()[0] is not None)
    return 0


def _evaluate(job: EvaluationJob, device: torch.device) -> None:
    settings = job.settings
    paths = [find_weights(one) for one in ensemble.listed(settings.ckpt)]
    path = paths[0]
    model, task, header = ensemble.load(settings.ckpt, settings.trust, settings.codec, scaled=not settings.calibrate)
    if len(paths) > 1 and (settings.ablate is not None or settings.probes):
        raise UserError("ckpt: ablate and probes look into one model; give one run, or leave them out")
    if settings.metric is not None:
        task.metrics = build(settings.metric, None, "metric")
    model.skip_stages(settings.skip_stages)
    node = dict(settings.dataset)
    split = split_word(str(node.pop("split", "valid")))
    calibrating.check(settings, paths, split)
    data = make_dataset(read_as_trained(node, header["info"]), split)
    for member in paths:
        described = header if member == path else read_header(member)
        compare_splits(member, described, node, split, data, settings.data.allow_overlap)
    warn_of_missing(data, task.codec, split)
    data = as_trained(task, data, path)
    transform = Pipeline(
        [build(n, settings.trust, "transform") for n in header.get("transform", [])], data.info.mirrored
    )
    boxes = _detected(settings, task, data)
    loader = evaluation_loader(data, transform, task.codec, settings.data, device, boxes)
    _tell_batch(loader.batch_size, header)
    try:
        each = PerImage(task, settings.pictures)
        samples = Samples(task, len(data), model.align_corners) if settings.calibrate else None
        values, sections = _scored(settings, model.to(device), task.to(device), loader, device, split, each, samples)
        if samples is not None:
            sections.append(Section("calibration", *calibrating.finish(samples, path, split)))
    finally:
        loader.close()
    if distributed.is_main():
        job.folder.mkdir(parents=True, exist_ok=True)
    written = [*each.write(job.folder), *each.gallery.write(job.folder)]
    if distributed.is_main():
        files = [str(one.resolve()) for one in paths]
        facts = {
            "checkpoint": files[0] if len(files) == 1 else files,
            "step": header.get("step"),
            "split": split,
            "samples": len(data),
            "batch_size": loader.batch_size,
            **_scaled([] if settings.calibrate else paths),
            **_monitored(task, values),
        }
        facts["settings"] = {name: getattr(settings, name) for name in DECISIVE} | {"dataset": placed(node)}
        _report(values, facts, images_line(data), job.folder, sections, written)


def placed(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a dataset with its root as a path without links, equal from wherever it was typed."""
    root = node.get("root")
    return {**node, "root": os.path.realpath(expand(root))} if isinstance(root, str) else dict(node)


def _tell_batch(size: int, header: Mapping[str, Any]) -> None:
    """Issue a notice if losses, which are means over batches, are not those that the run printed."""
    begun = header.get(VALID_BATCH)
    if isinstance(begun, int) and size != begun:
        text = f"data.batch_size={size}: the run validated in batches of {begun}, on which loss/* depend; leave it out"
        warnings.warn(text, Notice, stacklevel=2)


def _scaled(paths: Sequence[Path]) -> dict[str, Any]:
    """Return the temperatures that losses and probabilities depend on: of the run, or of each member; {} without."""
    found = [temperature.held(path) for path in paths]
    return {"temperature": found[0] if len(found) == 1 else found} if any(found) else {}


def _monitored(task: Task, values: Mapping[str, float | None]) -> dict[str, str]:
    """Return the monitored score and its mode, for the table of a sweep; the first one if other metrics were chosen."""
    name = next((one for one in (task.monitor, *values) if one in values and not one.startswith("loss/")), None)
    known = {key for metric in task.new_metrics().values() for key in metric.mode}
    return {"monitor": name, "mode": task.direction(name)} if name in known else {}


def _scored(
    settings: EvalSettings,
    model: Model,
    task: Task,
    loader: EvaluationLoader,
    device: torch.device,
    split: str,
    each: PerImage,
    samples: Samples | None,
) -> tuple[dict[str, float | None], list[Section]]:
    """Return the metrics, and the sections of the oracle and of the ablation if they are wanted."""
    precision = Precision(settings.precision, device)
    oracle = None if settings.oracle is None else Oracle(task, settings.oracle, model.align_corners)
    ablation = None if settings.ablate is None else Ablation(model, settings.ablate)

    def seen(batch: Batch, found: list[Annotation], outputs: Outputs) -> None:
        each(batch, found, outputs)
        if samples is not None:
            samples(batch, found, outputs)
        if oracle is not None:
            oracle(batch, found, outputs)

    values = evaluate(model, task, loader, device, precision, seen, settings.flip, split, "codec")
    sections = []
    if oracle is not None:
        oracle.finish(values)
        sections.append(Section("oracle", oracle.facts(), oracle.report()))
    if ablation is not None:
        shares = gradient_shares(model, task, loader, device, precision)
        again = partial(evaluate, model, task, loader, device, precision, None, settings.flip, split, "codec")
        ablation.run(shares, again)
        sections.append(Section("ablation", ablation.facts(values, task), ablation.report(values, task)))
    if settings.probes:
        probed = probe(model, task, loader, device, precision)
        values |= {f"probe/{name}": value for name, value in probed.items()}
    return values, sections


def _detected(settings: EvalSettings, task: Task, data: Dataset) -> list[Annotation] | None:
    """Return the boxes of each sample from the file `boxes`; None without one."""
    if settings.boxes is None:
        return None
    if not task.codec.top_down:
        raise UserError("boxes: the model of this checkpoint takes whole images; drop boxes=")
    if settings.oracle is not None:
        raise UserError("oracle needs ground-truth boxes; drop boxes= or oracle=")
    file = BoxFile(expand(settings.boxes), BoxFilter(task.info, settings.box_threshold, settings.boxes))
    known = [data.identity(index) for index in range(len(data))]
    file.require(known)
    return [file.of((0, 0), *one) for one in known]  # the size is set when the image is read


def compare_splits(
    path: Path, header: Mapping[str, Any], node: Mapping[str, Any], split: str, data: Dataset, allowed: bool
) -> None:
    """Refuse test images that stand in another split; tell if the images differ from those of the run."""
    if split == "test":
        overlap.check_test(node, data, allowed)
    now = record(dict(node), {split: data})
    if now is None:
        return
    then = splits.read(path.parent)
    if then is None:
        for change in _by_digest(path, header, dict(node), now.splits[split], split):
            warnings.warn(change, Notice, stacklevel=2)
        return
    if (text := moved.elsewhere(node, then, now)) is not None:
        warnings.warn(text, Notice, stacklevel=2)
    same = os.path.realpath(then.root) == os.path.realpath(now.root)
    for change in splits.changes(then, now) if same else splits.trained_on(then, now):
        warnings.warn(f"{change}; see {path.parent / splits.FILE}", Notice, stacklevel=2)


def _by_digest(
    path: Path, header: Mapping[str, Any], node: dict[str, Any], members: splits.Members, split: str
) -> Iterator[str]:
    """Compare with the header of the weights, for files without a run folder."""
    if not random_split(node):
        return
    recorded = header.get("splits")
    before = recorded.get(split) if isinstance(recorded, dict) else None
    if recorded is None:
        yield (
            f"{path}: the run was trained when random splits were drawn otherwise: images of {split} may be training "
            "images; train it again for scores that count"
        )
    elif isinstance(before, dict) and before.get("digest") != members.digest:
        yield f"the {split} split has {many(members.count, 'image')}, others than when {path} was trained"


def as_trained(task: Task, data: Dataset, path: Path) -> Dataset:
    """Return the dataset in the checkpoint's order of classes and keypoints.

    Raises UserError if its channels differ, or the names of its classes or keypoints.
    """
    if task.info.channels == data.info.channels and task.info.bands != data.info.bands:
        names = [list(info.bands) or "none" for info in (task.info, data.info)]
        raise UserError(
            f"{path} was trained on the bands {names[0]} of its images but the dataset names {names[1]}; set "
            f"dataset.channels={list(task.info.bands) or task.info.channels}"
        )
    if task.info.channels != data.info.channels:
        raise UserError(
            f"{path} was trained on images of {task.info.channels} channels but the dataset has {data.info.channels}; "
            f"set dataset.channels={task.info.channels} if the dataset has this key, or evaluate on another dataset"
        )
    return by_name.matched(data, task.info, task.codec.required, "the dataset", str(path))


def _warn(text: str) -> None:
    if distributed.is_main():
        print(f"warning: {text}", file=sys.stderr, flush=True)


def _remark(text: str) -> None:
    if distributed.is_main():
        print(text, file=sys.stderr, flush=True)


def _report(
    values: dict[str, float | None],
    facts: Mapping[str, Any],
    images: str,
    folder: Path,
    sections: Sequence[Section],
    written: Sequence[Path],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = {section.key: section.facts for section in sections}
    from_file = os.path.relpath(facts["checkpoint"], folder.resolve()) if isinstance(facts["checkpoint"], str) else None
    atomic.write_json(folder / "metrics.json", {**facts, "checkpoint_from_here": from_file, "metrics": values, **found})
    unprinted = ("settings", "monitor", "mode")
    rows = {name: str(value) for name, value in facts.items() if name not in unprinted} | {"images": images}
    if isinstance(checkpoint := facts["checkpoint"], str):  # else several, of an ensemble
        rows["checkpoint"] = from_here(Path(checkpoint))
    parts = [f"densepred-eval\n{console.block(rows)}", console.scores(values), *(one.table for one in sections)]
    files = ", ".join(["metrics.json", *(path.name for path in written)])
    print("\n\n".join([*parts, f"  written to {from_here(folder)}: {files}"]))
