"""One training run, from its settings to its closing table."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from densepred import distributed, output
from densepred.build.instantiate import build, check
from densepred.contracts import ClosedForm, Dataset, Model
from densepred.engine import sharding
from densepred.engine.amp import gradient_scaler
from densepred.engine.closed_form import ClosedFormFit
from densepred.engine.diagnostics import probe
from densepred.engine.ema import moving_average
from densepred.engine.trainer import NonFinite, Trainer
from densepred.engine.validator import Validator
from densepred.errors import MachineError, PeerLost, UserError, WorkerKilled, notices
from densepred.jobs import caching, effects, layout, overlap, parts, placement, readable, resuming
from densepred.jobs.blocks import closing, opening
from densepred.jobs.class_weights import resolve_class_weights
from densepred.jobs.content import require_content, warn_of_missing
from densepred.jobs.crowding import warn_of_caps
from densepred.jobs.headers import warn_of_files
from densepred.jobs.recipe import Built
from densepred.loader import by_name
from densepred.loader.loaders import EvaluationLoader, TrainingLoader, explained
from densepred.loader.workers import ending_children
from densepred.optimizer import freeze, optimizer_of
from densepred.process.stop import StopFlag, Stopped, held
from densepred.rundir import console, images, provenance, secrets, splits
from densepred.rundir.folder import Run, begun_info
from densepred.rundir.lock import Lock, owned
from densepred.rundir.log import Log
from densepred.rundir.progress import Progress
from densepred.rundir.state import TrainState
from densepred.settings import TrainSettings
from densepred.task import Task
from densepred.types import HeadSpec, Info
from densepred.weights import pretrained

FORMAT, NON_FINITE = 1, 3
BUILT = ("model", "encoder", "decoder", "upsample", "task")


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training run, complete in itself: it is sent to other processes."""

    settings: TrainSettings
    written: dict[str, Any]  # the configuration as written, secrets hidden
    folder: Path
    choices: dict[str, str]
    used: set[str]  # the groups that the model and the task refer to
    overrides: list[str]
    secrets: tuple[str, ...] = field(default_factory=output.secrets)


@ending_children()
def work(job: TrainingJob, built: Built | None = None) -> int:
    """Train; return the exit code. Raises UserError for settings that do not fit.

    built: the training split, if a recipe has read it in this process
    """
    output.install(job.secrets)
    if mistakes := check(vars(job.settings)):
        raise UserError("; and ".join(mistakes))
    device = distributed.join(job.settings.trainer.timeout_s)
    folder = distributed.share(job.folder)
    log, stop = Log(folder, enabled=distributed.is_main()), StopFlag()
    try:
        with explained(), notices(log.warn), stop, stop.interruptible(), owned(folder, log.say) as lock:
            _train(job, built, folder, device, log, stop, lock)
    except Stopped:
        return resuming.stopped(folder, job.written, job.overrides, log)
    except NonFinite as reason:
        log.warn(str(reason))
        return NON_FINITE
    except Exception as reason:
        # A signal to all processes of a run ends a worker that has only just been started. A process that leaves a
        # validation is lost to the others. Code that was cut may fail too.
        if stop.raised:
            if not isinstance(reason, WorkerKilled | PeerLost):
                log.warn(f"after {stop.name}: {type(reason).__name__}: {reason}")
            return resuming.stopped(folder, job.written, job.overrides, log)
        if not isinstance(reason, MachineError):
            raise
        raise resuming.explained(reason, folder) from reason
    finally:
        log.close()
        distributed.leave(failed=sys.exc_info()[0] is not None)
    return 0


def _train(
    job: TrainingJob,
    built: Built | None,
    folder: Path,
    device: torch.device,
    log: Log,
    stop: StopFlag,
    lock: Lock | None,
) -> None:
    settings = job.settings
    placement.configure_torch(settings, device)
    resume = resuming.resumes(settings.trainer.resume, folder)
    train, valid = _datasets(settings, built, begun_info(folder) if resume else None, folder)
    task_node, class_weights = resolve_class_weights(settings.task, train, settings.data.on_bad == "skip")
    torch.manual_seed(settings.seed)
    task, model = parts.task_and_model(task_node, settings.model, train.info)
    task.require_predicted()
    valid = by_name.matched(valid, train.info, task.codec.required, "the validation split", "the training split")
    notes = _start(model, settings, task, log, resume)
    notes += layout.settle(settings.trainer, job.written, model, device, folder if resume else None)
    require_content(train, task.codec)
    if distributed.is_main():
        warn_of_caps(train, task)
        if settings.data.check:
            warn_of_files({"train": train, "valid": valid}, settings.data.max_pixels)
    warn_of_missing(valid, task.codec, "valid")
    model, task = placement.placed(model, settings, device), task.to(device)
    task.kernels = settings.trainer.fused_loss
    train, valid, kept = caching.kept(train, valid, settings.data, device)
    readable.require(valid, settings.data, device, resume)
    train_loader, valid_loader = _loaders(train, valid, task, settings, device)
    # Also when a run is resumed that died before it was recorded.
    if distributed.is_main() and not provenance.exists(folder):
        with held():
            provenance.write(folder, job.written, job.overrides)
    resuming.tell_supervisor(folder)
    record = parts.record(settings.dataset, {"train": train, "valid": valid})
    if distributed.is_main() and record is not None:
        _record_splits(record, folder, settings, resume, log)
    if distributed.is_main():
        log.loggers = parts.loggers(settings.logger, folder, provenance.flatten(job.written))
    header = _header(job, task_node, train, record)
    run = Run(folder, header, job.written, log, settings.trainer.keep_last, lock, job.overrides)
    state = _state(model, task, settings)
    validator = Validator(state, task, valid_loader, settings.trainer, run, stop)
    fitter = _fitter(state, task, settings, run, validator, stop)
    log.say(opening(settings, job.choices, job.used, folder, task, model, train, valid, device, train_loader))
    weights = [f"class weights (median frequency): {class_weights}"] if class_weights else []
    drawn = [balance.describe()] if (balance := train_loader.samples.balance) is not None else []
    shards = sharding.notes(model, settings.trainer.channels_last)
    for note in [*notes, *kept, *weights, *drawn, *shards, *effects.slower(settings, model)]:
        log.say(note)
    if distributed.is_main() and not resume:
        images.show_training(log, train.info, train_loader.first(settings.trainer.pictures))
    for fact in effects.without(settings, task, model, fitter, len(train_loader)):
        log.warn(fact)
    try:
        progress = fitter.fit(train_loader, resume)
        if settings.trainer.probes:
            _diagnose(state, task, validator, run)
    finally:
        train_loader.close()
        valid_loader.close()
        with held():  # the lock of the folder is kept until its files are written
            run.writer.close()
    for fact in train_loader.facts():
        log.warn(fact)
    log.say(closing(progress, folder, settings.task, settings.model))
    run.require_written()
    if progress.diverged:
        raise NonFinite(
            "the last validation loss is not finite: training diverged; lower optimizer.lr, or set trainer.clip=1 or "
            "trainer.precision=fp32"
        )


def _datasets(
    settings: TrainSettings, built: Built | None, began: dict[str, Any] | None, folder: Path
) -> tuple[Dataset, Dataset]:
    """Return the splits train and valid, read alike; `began` is the Info with which a resumed run began."""
    node = settings.dataset if began is None else parts.read_as_trained(settings.dataset, began)
    train = built.told_again() if built is not None and built.node == node else parts.dataset(node, "train")
    valid = parts.dataset(parts.read_as_trained(node, {"max_value": train.info.max_value}), "valid")
    overlap.check("train", train, "valid", valid, settings.data.allow_overlap)
    return train if began is None else _as_begun(train, began, folder), valid


def _as_begun(train: Dataset, info: dict[str, Any], folder: Path) -> Dataset:
    """Return the training split in the order of classes and keypoints with which the run began."""
    begun = Info.from_json(info)
    required = {"semantic", *(["keypoints"] if begun.keypoints else [])} if begun.classes or begun.keypoints else set()
    return by_name.matched(train, begun, required, "the training split", f"the run in {folder}")


def _loaders(
    train: Dataset, valid: Dataset, task: Task, settings: TrainSettings, device: torch.device
) -> tuple[TrainingLoader, EvaluationLoader]:
    augment = parts.pipeline(settings.transform["train"], train.info, "train", task.codec)
    transform = parts.pipeline(settings.transform["valid"], valid.info, "valid", task.codec)
    train_loader = parts.training_loader(train, augment, task.codec, settings.data, settings.seed, device)
    validation = parts.in_validation(settings.data, len(valid))
    return train_loader, parts.evaluation_loader(valid, transform, task.codec, validation, device)


def _state(model: Model, task: Task, settings: TrainSettings) -> TrainState:
    """The state of a run at step 0. A model in closed form has no optimizer, and no average."""
    trainer = settings.trainer
    frozen = freeze(model, trainer.freeze)
    progress = Progress(trainer.monitor or task.monitor, task.direction(trainer.monitor))
    if isinstance(model, ClosedForm):
        return TrainState(model, progress)
    average = moving_average(model, trainer.ema) if trainer.ema else None
    device = next(model.parameters()).device
    if trainer.shard:
        sharding.apply(model, average, task.info.channels, device)
    if trainer.compile:
        model.compile()
        if distributed.is_main():
            print("  compiling in the first step and the first validation: half a minute or more each", flush=True)
    optimizer = optimizer_of(model, build(settings.optimizer, None, "optimizer"))
    if trainer.shard and device.type == "cuda":
        sharding.update_by_lists(optimizer)
    return TrainState(
        model,
        progress,
        optimizer=optimizer,
        average=average,
        scaler=gradient_scaler(trainer.precision, device),
        seed=settings.seed,
        frozen=frozen,
    )


def _fitter(
    state: TrainState, task: Task, settings: TrainSettings, run: Run, validator: Validator, stop: StopFlag
) -> Trainer | ClosedFormFit:
    if isinstance(state.model, ClosedForm):
        return ClosedFormFit(state, settings.trainer, run, validator, stop)
    scheduler = build(settings.scheduler, None, "scheduler")
    return Trainer(state, task, scheduler, settings.trainer, run, validator, stop)


def _diagnose(state: TrainState, task: Task, validator: Validator, run: Run) -> None:
    """Score the last weights; the checkpoint that holds them is written."""
    with sharding.gathered(state.eval_model):
        values = probe(state.eval_model, task, validator.loader, state.device, validator.precision)
    run.log.scalars("probe", values, state.progress.step, state.progress.epoch)
    run.summarise(state, values)
    run.log.say("  probe  " + "  ".join(f"{name} {console.number(value)}" for name, value in values.items()))


def _start(model: Model, settings: TrainSettings, task: Task, log: Log, resume: bool) -> list[str]:
    """Load the weights that `weights.*` names; return notes for the log, written at once if loading fails.

    A run that is resumed gets the weights of its checkpoint afterwards, so any share may fit.
    """
    notes: list[str] = []

    def heads(info: Info | None) -> Mapping[str, HeadSpec]:
        return task.heads if info is None else build(settings.task["codec"], None, "task.codec")(info=info).heads

    try:
        pretrained.load(model, settings.weights, heads, notes.append, 0.0 if resume else pretrained.LEAST)
    except UserError:
        for note in notes:
            log.say(note)
        raise
    notes += effects.typed_statistics(settings.dataset, model)
    return notes


def _record_splits(record: splits.Record, folder: Path, settings: TrainSettings, resume: bool, log: Log) -> None:
    """Write which image went where; on resuming tell what has changed, and keep what the run began with."""
    before = splits.read(folder)
    if before is not None:
        for change in splits.changes(before, record):
            log.warn(f"{change}; see {folder / splits.FILE}")
        return
    if resume and parts.random_split(settings.dataset):
        log.warn(f"{folder} began when random splits were drawn otherwise: some validation images were trained on")
    test = parts.further_split(settings.dataset)
    found = None if test is None else splits.record(settings.dataset.get("root"), {"test": test})
    splits.write(folder, record if found is None else replace(record, splits={**record.splits, **found.splits}))


def _header(
    job: TrainingJob, task_node: dict[str, Any], train: Dataset, record: splits.Record | None
) -> dict[str, Any]:
    """Return the header of every file of weights: enough to rebuild the model and evaluate it, as JSON."""
    words = provenance.words(job.settings.dataset, "dataset")
    header = {
        "format": FORMAT,
        "model": parts.stored(job.settings.model),
        "task": parts.stored(task_node),
        "info": train.info.to_json(),
        "options": {name: job.choices[name] for name in BUILT if name in {"model", "task", *job.used}},
        "dataset": {"option": job.choices["dataset"], "overrides": [secrets.redacted(word) for word in words]},
        "transform": parts.stored(job.settings.transform["valid"]),
        **({} if record is None else {"splits": {name: one.brief() for name, one in record.splits.items()}}),
    }
    return secrets.hide_values(header)
