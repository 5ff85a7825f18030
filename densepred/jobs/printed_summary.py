"""The summary that a training prints: facts before the first step, scores and next commands after the last."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch

from densepred import distributed
from densepred.cli.typed import config_dirs
from densepred.contracts import ClosedForm, Dataset, Decoder, Encoder, Model
from densepred.dataset import unnamed
from densepred.errors import UserError
from densepred.home import from_here, typed
from densepred.loader.loaders import TrainingLoader
from densepred.nn import ceil_div
from densepred.output import many
from densepred.rundir import console
from densepred.rundir.progress import Progress
from densepred.settings import TrainSettings
from densepred.task import Task
from densepred.types import HeadSpec
from densepred.weights.file import foreign

PARTS = ("encoder", "decoder", "upsample")


def opening(
    settings: TrainSettings,
    choices: Mapping[str, str],
    used: Collection[str],
    folder: Path,
    task: Task,
    model: Model,
    train: Dataset,
    valid: Dataset,
    device: torch.device,
    loader: TrainingLoader,
) -> str:
    """Return the block before the first step; `choices` are the options of the groups, `used` the groups in use."""
    trainer, classes, batches = settings.trainer, train.info.classes, len(loader)
    steps = trainer.max_steps or (trainer.epochs and trainer.epochs * ceil_div(batches, trainer.accumulate))
    counts = [many(count, noun) for noun, count in (("epoch", trainer.epochs), ("step", steps)) if count]
    length = ", ".join(counts + ([f"{trainer.max_minutes} minutes at most"] if trainer.max_minutes else []))
    if steps is None:
        length += ", at a constant learning rate"
    length += f"; {_batches(loader, batches, settings.data.batch_size)} per epoch{_cut(loader, settings)}"
    interval = max(1, round(trainer.valid_every * ceil_div(batches, trainer.accumulate)))
    if steps and interval > steps:
        length += f"; validation at the end alone (trainer.valid_every={trainer.valid_every:g}, in epochs)"
    if isinstance(model, ClosedForm):
        passed = min(batches, trainer.max_steps or batches)
        length = f"one pass over {_batches(loader, passed, settings.data.batch_size)}{_cut(loader, settings)}"
    chosen = [f"{name} {choices[name]}" for name in PARTS if name in used]
    with_parts = f" ({', '.join(chosen)})" if chosen else ""
    of_instances = f"; {many(len(loader.samples), 'instance')} to train on" if task.codec.top_down else ""
    size = console.count(sum(p.numel() for p in model.parameters()))
    held = f"{len(train)} training and {many(len(valid), 'validation sample')}{of_instances}"
    threads = many(torch.get_num_threads(), "thread")
    rows = {
        "task": f"{choices['task']} ({', '.join(task.heads)})",
        "model": f"{choices['model']}{with_parts}",
        "size": f"{size} parameters{output_stride(model)}{predicted_at(model, task.heads)}",
        "data": f"{choices['dataset']}, {held}",
        "images": images_line(train),
        **({"classes": f"{len(classes)}: {console.few(classes, 60)}"} if classes else {}),
        **({"names": nameless} if (nameless := unnamed.remedy(classes, settings.dataset)) else {}),
        "device": f"{distributed.world()} x {device.type}, {threads}, {trainer.precision}",
        "length": length,
        "run": from_here(folder),
        "watch": f"tensorboard --logdir {shlex.quote(_watched(folder))}",
    }
    return "densepred\n" + console.block(rows)


def _watched(folder: Path) -> str:
    """Return the folder for TensorBoard: that with the runs beside this one, unless it is the current folder."""
    beside = from_here(folder.parent)
    return from_here(folder) if beside == "." else beside


def _batches(loader: TrainingLoader, batches: int, size: int) -> str:
    used = loader.order.used
    if used < size:
        which = "all; " if used == len(loader.samples) else ""
        return f"1 batch of {used} ({which}data.batch_size={size})"
    return f"{many(batches, 'batch', 'batches')} of {size}"


def _cut(loader: TrainingLoader, settings: TrainSettings) -> str:
    """Name the samples that processes of equal shares leave out of each epoch, others in each; "" without any."""
    rest = len(loader.samples) - loader.order.used
    if not rest or settings.data.drop_last:
        return ""
    return f", {many(rest, 'sample')} left out: {distributed.world()} processes take equal shares of the last"


def output_stride(model: Model) -> str:
    """Describe the stride of the encoder's deepest level; nothing for a model without an encoder."""
    encoder = getattr(model, "encoder", None)
    return f", output stride {max(encoder.strides)}" if isinstance(encoder, Encoder) else ""


def predicted_at(model: Model, heads: Mapping[str, HeadSpec]) -> str:
    """Describe the strides of the predictions; nothing for a model without a decoder."""
    decoder = getattr(model, "decoder", None)
    if not isinstance(decoder, Decoder):
        return ""
    finest = min(decoder.strides)
    strides = sorted({max(stride, finest) for spec in heads.values() for stride in spec.strides})
    return f", predictions at stride {', '.join(map(str, strides))}"


def images_line(data: Dataset) -> str:
    """Describe the images; a damaged one is reported where it is read, or left out there."""
    try:
        return data.images_line()
    except UserError:
        return "the first cannot be read"


def to_type(command: str, words: str, trust: Collection[str] = ()) -> str:
    """Return a command with the folders of configs that this one was given, and the packages that it has to trust."""
    folders = "".join(f"--config-dir {shlex.quote(str(place.resolve()))} " for place in config_dirs(sys.argv[1:]))
    folders = folders if command != "densepred-predict" else ""
    return f"{command} {folders}{words}" + (f" 'trust=[{','.join(sorted(trust))}]'" if trust else "")


def closing(progress: Progress, folder: Path, task: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Return the best scores, and the commands to type next."""
    best = {name: value for name, value in progress.best.items() if name not in ("step", "epoch")}
    if not best:
        return f"no validation gave a {progress.monitor}; the last weights are in {folder}/last.safetensors"
    place = from_here(folder)
    checkpoint = typed("ckpt", place)
    head = f"best {progress.monitor} {console.number(best[progress.monitor])} at step {progress.best['step']}"
    rows = {
        "results": f"{place}/  (best.safetensors, metrics.jsonl, summary.json)",
        "evaluate": to_type("densepred-eval", checkpoint, foreign([task, model])),
        "predict": to_type(
            "densepred-predict",
            f"{checkpoint} input=IMAGE_OR_FOLDER output=predictions",
            foreign([task.get("codec"), model]),
        ),
        "watch": f"tensorboard --logdir {shlex.quote(place)}",
    }
    return f"\n{head}\n\n{console.scores(best)}\n\n{console.block(rows)}"
