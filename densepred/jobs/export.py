"""One export, from its settings to its parity table."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from densepred import atomic
from densepred.build.instantiate import build
from densepred.contracts import Dataset, Model
from densepred.dataset.paths import split_word
from densepred.engine import temperature
from densepred.engine.amp import Precision
from densepred.engine.evaluate import evaluate
from densepred.errors import Notice
from densepred.exporting import convert, parity
from densepred.exporting.exported import FACTS, FORM, LEAST, OUTPUTS, SIZE, TEMPERATURE
from densepred.exporting.network import Network, example, heads_of
from densepred.exporting.program import EXTRA, TRUST
from densepred.exporting.refusal import Refusal
from densepred.exporting.runtime import SUFFIXES
from densepred.exporting.session import SUFFIX, Session
from densepred.home import expand, typed
from densepred.jobs import evaluation, moved, parts
from densepred.loader.loaders import explained
from densepred.process import processors, starting
from densepred.rundir import console, splits
from densepred.rundir.waiting import waiting
from densepred.settings import ExportSettings
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Sample, UserError
from densepred.weights import header as header_
from densepred.weights import trusted
from densepred.weights.file import load_model
from densepred.weights.header import find_weights

CPU = torch.device("cpu")


def work(settings: ExportSettings) -> int:
    """Export; return the exit code. Raises UserError if the model cannot be exported, or the file's outputs differ."""
    output = _destination(settings)
    starting.imported()
    processors.use_threads(settings.threads)
    path = find_weights(settings.ckpt)
    trusted.tell([path], settings.trust)
    model, task, header = load_model(path, settings.trust)
    scaled = temperature.apply(model, task, path)
    model.skip_stages(settings.skip_stages)
    network = Network(model, task.heads, settings.argmax, settings.probabilities).eval()
    image = example(task.info.channels, settings.size)
    name = f"model={header_.options(header).get('model', type(model).__name__)} of {path}"
    _begin(path, header, network)
    refusal = Refusal(name, output, settings.size is not None)
    with refusal.at("cannot be traced"), waiting("tracing the network"):
        exported = convert.program(network, image, settings.size)
    description = _description(header, model, network, settings, scaled)
    output.parent.mkdir(parents=True, exist_ok=True)
    trial = output.with_name(f".{output.name}.trial{output.suffix}")
    try:
        at = refusal.at(f"cannot be written as {output.suffix}")
        with at, atomic.naming(output, trial), waiting(f"writing {output.suffix}"):
            save, run = _written(exported, network, output, trial, settings.opset)
        bare, run = run, _guarded(run, refusal)
        with waiting("comparing the file with the model"):
            rows = parity.trials(network, run, task.heads, settings.tolerance, image, settings.size is not None)
            least = None if settings.size else parity.least_side(network, bare, task.heads, settings.tolerance, image)
        found, scores = _on_images(settings, path, header, task, network, run)
        rows += found
        failed = [row for row in rows if not row.passed]
        if failed:
            print(_table(rows))
            raise UserError(
                f"output={output}: not written: {_failure(failed)}; raise tolerance=, or use the run itself"
            )
        with atomic.naming(output, trial):
            save({header_.KEY: json.dumps(description), FACTS: json.dumps(_facts(path, rows, scores, least))})
            trial.replace(output)
    finally:
        with contextlib.suppress(OSError):  # a disk that takes no file: the first error is the one to report
            trial.unlink(missing_ok=True)
    _report(output, rows, scores, least if settings.size is None else 1)
    return 0


def _destination(settings: ExportSettings) -> Path:
    output = expand(settings.output)
    if output.suffix not in SUFFIXES:
        raise UserError(f"output={output}: give a name that ends in {' or '.join(SUFFIXES)}")
    if output.suffix == SUFFIX:
        for package in convert.PACKAGES:
            convert.require(package)
    if output.exists() and not settings.overwrite:
        raise UserError(f"output={output}: exists already; choose another name, or type overwrite=true")
    if settings.size is not None and (len(settings.size) != 2 or min(settings.size) < 1):
        raise UserError(f"size: {settings.size}; give [height,width] in pixels, or null for any size")
    return output


def _description(
    header: Mapping[str, Any], model: Model, network: Network, settings: ExportSettings, scaled: Mapping[str, float]
) -> dict[str, Any]:
    """Return the description of the checkpoint for the file, with its outputs and how coarse ones are enlarged."""
    own = {OUTPUTS: network.names, SIZE: settings.size, TEMPERATURE: dict(scaled)}
    return {**header, "align_corners": bool(model.align_corners), FORM: own}


def _written(
    exported: torch.export.ExportedProgram, network: Network, output: Path, trial: Path, opset: int
) -> tuple[Callable[[Mapping[str, str]], None], parity.Runner]:
    """Write the file for a trial; return a function that writes it with metadata, and one that runs it."""
    if output.suffix == SUFFIX:
        program = convert.onnx_model(exported, network.names, opset)

        def save(metadata: Mapping[str, str]) -> None:
            program.model.metadata_props.update(metadata)
            program.save(str(trial))

        save({})
        session = Session(trial, fresh=True)
        session.path = output  # for messages
        return save, session

    def save_program(metadata: Mapping[str, str]) -> None:
        torch.export.save(exported, str(trial), extra_files={EXTRA: json.dumps(dict(metadata))})

    save_program({})
    module = torch.export.load(str(trial)).module()

    @torch.inference_mode()
    def run(image: Tensor) -> dict[str, Tensor]:
        return dict(zip(network.names, module(image), strict=True))

    return save_program, run


def _guarded(run: parity.Runner, refusal: Refusal) -> parity.Runner:
    """Return the runner of a file with errors that name the model and the images."""

    def guarded(image: Tensor) -> Mapping[str, Tensor]:
        size = "x".join(map(str, (len(image), *image.shape[-2:])))
        with refusal.at(f"was written, but its file does not run at {size}"):
            return run(image)

    return guarded


Scores = dict[str, tuple[float | None, float | None]]


def _on_images(
    settings: ExportSettings, path: Path, header: Mapping[str, Any], task: Task, network: Network, run: parity.Runner
) -> tuple[list[parity.Row], Scores]:
    """Compare on images of the dataset: outputs, and the metrics of model and file."""
    if settings.images < 1:
        return [], {}
    node = dict(settings.dataset)
    split = split_word(str(node.pop("split", "valid")))
    data = parts.dataset(parts.read_as_trained(node, header["info"]), split)
    then, now = splits.read(path.parent), parts.record(node, {split: data})
    if then is not None and now is not None and (text := moved.elsewhere(node, then, now)) is not None:
        warnings.warn(text, Notice, stacklevel=2)
    if settings.images > len(data):
        text = f"images={settings.images}: the {split} split has {len(data)}; all are compared"
        warnings.warn(text, Notice, stacklevel=2)
    data = evaluation.as_trained(task, First(data, settings.images), path)
    nodes = [build(n, settings.trust, "transform") for n in header.get("transform", [])]
    transform = Pipeline(nodes, data.info.mirrored)
    rows: list[parity.Row] = []
    values = []
    with explained():
        for model in (Watched(network, run, task, settings.tolerance, rows), FromFile(network, run, task)):
            loader = parts.evaluation_loader(data, transform, task.codec, settings.data, CPU)
            try:
                values.append(evaluate(model, task, loader, CPU, Precision("fp32", CPU), split=split, codec="codec"))
            finally:
                loader.close()
    names = [name for name in values[0] if not name.startswith("loss/")]
    return rows, {name: (values[0][name], values[1].get(name)) for name in names}


class First(Dataset):
    """The first samples of a dataset."""

    def __init__(self, data: Dataset, count: int) -> None:
        self.data, self.count, self.info = data, min(count, len(data)), data.info

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        return self.data[index]

    def labelled(self, index: int) -> list[int]:
        return self.data.labelled(index)

    def identity(self, index: int) -> tuple[int | str | None, str]:
        return self.data.identity(index)


class FromFile(Model):
    """The exported file in place of its model."""

    def __init__(self, network: Network, run: parity.Runner, task: Task) -> None:
        super().__init__()
        self.network, self.run, self.specs = network, run, task.heads
        self.align_corners = network.model.align_corners

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {name: [value] for name, value in heads_of(dict(self.run(image)), self.specs).items()}


class Watched(FromFile):
    """The model itself; each batch that it sees is compared with the file's outputs."""

    def __init__(
        self, network: Network, run: parity.Runner, task: Task, tolerance: float, rows: list[parity.Row]
    ) -> None:
        super().__init__(network, run, task)
        self.compare = partial(parity.compare, heads=task.heads, tolerance=tolerance)
        self.rows, self.want = rows, parity.reference(network)

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        want, have = self.want(image), self.run(image)
        size = (len(image), image.shape[-2], image.shape[-1])
        self.rows.append(self.compare(want, have, images="dataset", size=size))
        return {name: [value] for name, value in heads_of(want, self.specs).items()}


def _failure(failed: Sequence[parity.Row]) -> str:
    row = max(failed, key=lambda one: one.difference / one.limit)
    if not row.difference <= row.limit:
        return f"its outputs differ from the model's by {row.difference:.2g} at {row.size} (limit {row.limit:.2g})"
    return f"only {row.agreement:.4%} of the pixels have the model's class at {row.size}"


def _facts(path: Path, rows: Sequence[parity.Row], scores: Scores, least: int | None) -> dict[str, Any]:
    metrics = {name: {"model": one, "file": other} for name, (one, other) in scores.items()}
    weights = {"file": path.name, "sha256": atomic.digest(path)}
    return {"weights": weights, "rows": [row.facts() for row in rows], "metrics": metrics, LEAST: least}


def _table(rows: Sequence[parity.Row], scores: Scores | None = None) -> str:
    head = ["images", "batch x height x width", "largest difference", "limit", "same class"]
    body = [
        [
            row.images,
            row.size,
            f"{row.difference:.1e}",
            f"{row.limit:.1e}",
            "-" if row.agreement is None else f"{row.agreement:.4%}",
        ]
        for row in rows
    ]
    parts_ = [console.table(head, body)]
    if scores:
        numbers = [
            [name, console.number(a), console.number(b), "-" if a is None or b is None else f"{b - a:+.1e}"]
            for name, (a, b) in scores.items()
            if "/" not in name  # those per class are in the file
        ]
        parts_.append(console.table(["metric", "model", "file", "difference"], numbers))
    return "\n\n".join(parts_)


def _begin(path: Path, header: Mapping[str, Any], network: Network) -> None:
    """Print what becomes of what; tracing and comparing may take minutes after it."""
    shown = {
        "checkpoint": str(path),
        "step": str(header.get("step")),
        "input": "image: float32 in [0, 1], batch x channels x height x width; normalised inside",
        "outputs": ", ".join(network.names),
    }
    print(f"densepred-export\n{console.block(shown)}", flush=True)


def _report(output: Path, rows: Sequence[parity.Row], scores: Scores, least: int | None) -> None:
    if least != 1:
        fact = f"above {parity.SIDES[0]}" if least is None else least
        print(console.block({"least side": f"{fact} pixels: the file takes no smaller image, the run does"}))
    print(f"\n{_table(rows, scores)}\n\n  written to {output}")
    trust = "" if output.suffix == SUFFIX else f" 'trust=[{TRUST}]'"
    print(f"  use it: densepred-predict {typed('ckpt', output)}{trust} input=IMAGE_OR_FOLDER")
