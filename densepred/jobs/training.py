"""One training run, from its settings to its closing table."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from densepred import distributed, output
from densepred.build.instantiate import build, check
from densepred.contracts import ClosedForm, Model
from densepred.engine import sharding
from densepred.engine.amp import gradient_scaler
from densepred.engine.closed_form import ClosedFormFit
from densepred.engine.diagnostics import probe
from densepred.engine.ema import MovingAverage
from densepred.engine.trainer import NonFinite, Trainer
from densepred.engine.validator import Validator
from densepred.errors import MachineError, PeerLost, UserError, WorkerKilled, notices
from densepred.jobs import effects, moved, on_device, parts, placement, preparing, resuming
from densepred.jobs.preparing import Prepared
from densepred.jobs.printed_summary import closing, opening
from densepred.jobs.recipe import Built
from densepred.loader.loaders import TrainingLoader, explained
from densepred.loader.workers import ending_children
from densepred.optimizer import freeze, optimizer_of
from densepred.process.stop import StopFlag, Stopped, held
from densepred.rundir import console, provenance, secrets, splits, validation_images
from densepred.rundir.folder import Run
from densepred.rundir.lock import Lock, owned
from densepred.rundir.log import FAILED, FINISHED, STOPPED, Log
from densepred.rundir.progress import Progress
from densepred.rundir.state import TrainState
from densepred.settings import TrainSettings
from densepred.task import Task
from densepred.types import Info
from densepred.weights.header import VALID_BATCH

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
    behind: dict[str, Any] = field(default_factory=dict)  # values of environment variables, see rundir/variables
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
    log, stop, ended = Log(folder, enabled=distributed.is_main()), StopFlag(), FAILED
    try:
        with explained(), notices(log.warn, log.say), stop, stop.interruptible(), owned(folder, log.say) as lock:
            _train(job, built, folder, device, log, stop, lock)
        ended = FINISHED
    except Stopped:
        ended = STOPPED
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
            ended = STOPPED
            return resuming.stopped(folder, job.written, job.overrides, log)
        if not isinstance(reason, MachineError):
            raise
        raise resuming.explained(reason, folder) from reason
    finally:
        log.close(ended)
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
    prepared = preparing.prepare(settings, job.written, built, folder, device, log, resume)
    record = _record(job, prepared, folder, resume, log)
    header = _header(job, prepared, record)
    run = Run(folder, header, job.written, log, settings.trainer.keep_last, lock, job.overrides, job.behind)
    state = _state(prepared.model, prepared.task, settings)
    state.loader = prepared.train_loader
    validator = Validator(state, prepared.task, prepared.valid_loader, settings.trainer, run, stop)
    fitter = _fitter(state, prepared.task, settings, run, validator, stop)
    _open(job, prepared, fitter, folder, device, log, resume)
    progress = _fit(fitter, prepared, settings, state, validator, run, resume)
    for fact in prepared.train_loader.facts():
        log.warn(fact)
    log.say(closing(progress, folder, settings.task, settings.model))
    run.require_written()
    if progress.diverged:
        raise NonFinite(
            "the last validation loss is not finite: training diverged; lower optimizer.lr, or set trainer.clip=1 or "
            "trainer.precision=fp32"
        )


def _record(job: TrainingJob, prepared: Prepared, folder: Path, resume: bool, log: Log) -> splits.Record | None:
    """Write what the run is begun with into its folder, and open its loggers; return the record of the splits.

    The settings are written also when a run is resumed that died before it was recorded.
    """
    settings = job.settings
    if distributed.is_main() and not provenance.exists(folder):
        with held():
            provenance.write(folder, job.written, job.overrides)
    resuming.tell_supervisor(folder)
    record = parts.record(settings.dataset, {"train": prepared.train, "valid": prepared.valid})
    if distributed.is_main():
        if record is not None:
            _record_splits(record, folder, settings, resume, log)
        with secrets.hidden_in_arguments():
            log.loggers = parts.loggers(settings.logger, folder, provenance.flatten(job.written))
    return record


def _open(
    job: TrainingJob,
    prepared: Prepared,
    fitter: Trainer | ClosedFormFit,
    folder: Path,
    device: torch.device,
    log: Log,
    resume: bool,
) -> None:
    """Tell and show what is about to be trained, and warn of settings without effect."""
    settings, task, model, loader = job.settings, prepared.task, prepared.model, prepared.train_loader
    train, valid = prepared.train, prepared.valid
    log.say(opening(settings, job.choices, job.used, folder, task, model, train, valid, device, loader))
    shards = sharding.notes(model, settings.trainer.channels_last)
    placed = on_device.describe(loader.samples)
    for note in [*prepared.notes, *shards, *placed, *effects.slower(settings, model)]:
        log.say(note)
    if distributed.is_main():
        show = partial(_show_samples, log, train.info, loader, settings.trainer.pictures)
        if isinstance(fitter, Trainer):
            fitter.after_first = show  # drawing and encoding takes as long as some steps, and training begins sooner
        elif not resume:
            show()
    for fact in effects.without(settings, task, model, fitter, len(loader), job.overrides):
        log.warn(fact)
    of_data = effects.of_crops(settings, task, train.info.provides)
    for fact in [*of_data, *on_device.without_effect(settings.data, loader.samples, device)]:
        log.warn(fact)


def _show_samples(log: Log, info: Info, loader: TrainingLoader, count: int) -> None:
    validation_images.show_training(log, info, loader.first(count))


def _fit(
    fitter: Trainer | ClosedFormFit,
    prepared: Prepared,
    settings: TrainSettings,
    state: TrainState,
    validator: Validator,
    run: Run,
    resume: bool,
) -> Progress:
    try:
        progress = fitter.fit(prepared.train_loader, resume)
        if settings.trainer.probes:
            _diagnose(state, prepared.task, validator, run)
    finally:
        prepared.train_loader.close()
        prepared.valid_loader.close()
        with held():  # the lock of the folder is kept until its files are written
            run.writer.close()
    return progress


def _state(model: Model, task: Task, settings: TrainSettings) -> TrainState:
    """The state of a run at step 0. A model in closed form has no optimizer, and no average."""
    trainer = settings.trainer
    frozen = freeze(model, trainer.freeze)
    progress = Progress(trainer.monitor or task.monitor, task.direction(trainer.monitor))
    if isinstance(model, ClosedForm):
        return TrainState(model, progress)
    average = MovingAverage(model, trainer.ema) if trainer.ema else None
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


def _record_splits(record: splits.Record, folder: Path, settings: TrainSettings, resume: bool, log: Log) -> None:
    """Write which image went where; on resuming tell what has changed, and keep what the run began with.

    The root of equally named images is that of now: predictions of a split, and comparisons of runs, look there.
    """
    before = splits.read(folder)
    if before is not None:
        changed = splits.changes(before, record)
        for change in changed:
            log.warn(f"{change}; see {folder / splits.FILE}")
        if (text := moved.resumed(before, record)) is not None:
            log.warn(text)
            if not changed:
                splits.write(folder, replace(before, root=record.root))
        return
    if resume and parts.random_split(settings.dataset):
        log.warn(f"{folder} began when random splits were drawn otherwise: some validation images were trained on")
    test = parts.further_split(settings.dataset)
    found = None if test is None else splits.record(settings.dataset.get("root"), {"test": test})
    splits.write(folder, record if found is None else replace(record, splits={**record.splits, **found.splits}))


def _header(job: TrainingJob, prepared: Prepared, record: splits.Record | None) -> dict[str, Any]:
    """Return the header of every file of weights: enough to rebuild the model and evaluate it, as JSON."""
    words = provenance.words(job.settings.dataset, "dataset")
    header = {
        "format": FORMAT,
        "model": parts.stored(job.settings.model),
        "task": parts.stored(prepared.task_node),
        "info": prepared.train.info.to_json(),
        "options": {name: job.choices[name] for name in BUILT if name in {"model", "task", *job.used}},
        "dataset": {"option": job.choices["dataset"], "overrides": [secrets.redacted(word) for word in words]},
        "transform": parts.stored(job.settings.transform["valid"]),
        VALID_BATCH: prepared.valid_loader.batch_size,
        **({} if record is None else {"splits": {name: one.brief() for name, one in record.splits.items()}}),
    }
    return secrets.hide_values(header)
