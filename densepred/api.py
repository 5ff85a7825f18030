"""densepred in Python and in notebooks: the code of the commands, with results in place of exit codes.

    from densepred import api

    run = api.train("experiment=shapes_unet", "trainer.max_steps=20")
    run.metrics
    api.evaluate(run)
    api.predict(run, "image.png").show()

Overrides are those of the command line. Mistakes raise `errors.UserError` with the sentence that the command prints; an
interrupt saves a checkpoint and raises KeyboardInterrupt with the way to go on.
"""

from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, overload

from omegaconf import DictConfig, OmegaConf

from densepred import predict as predict_
from densepred import train as train_
from densepred.cli import call, command, compose
from densepred.dataset.picture import Picture
from densepred.engine import detection_limits, temperature
from densepred.errors import Notice, UserError
from densepred.eval import dataset_of_checkpoint
from densepred.eval import evaluate as evaluate_
from densepred.home import expand, override
from densepred.predictor import Predictor
from densepred.process import processors
from densepred.results.person_boxes import BoxFile
from densepred.results.predicting import one
from densepred.results.prediction import Prediction
from densepred.rundir import console, provenance
from densepred.rundir import override as override_
from densepred.rundir.log import METRICS, TEXT
from densepred.rundir.progress_bar import ProgressBar
from densepred.settings import PredictSettings

OF_FILES = ("input", "split", "all_files", "output", "overwrite", "overlay", "coco_ids", "latents", "uncertainty")
OF_FILES += ("frames", "fps", "axis")
"""Settings of densepred-predict that concern files, which `predict` does not write."""
OF_MANY = ("workers", "batch_size")
"""Settings for images that are predicted together."""

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A finished, or stopped, training: its folder, read when it is asked for."""

    folder: Path
    _models: dict[str, Predictor] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", expand(self.folder))
        if not self.folder.is_dir():
            raise UserError(f"{self.folder}: there is no such run folder; give the folder that training printed")

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def summary(self) -> dict[str, Any]:
        """The content of summary.json: best and last scores, parameters, speed, memory."""
        return _read(self.folder / "summary.json", "no validation has ended yet")

    @property
    def metrics(self) -> dict[str, float | None]:
        """The scores of the best validation, or of the last one if none counted as best."""
        found = self.summary.get("best") or self.summary.get("last") or {}
        return {name: value for name, value in found.items() if name not in ("step", "epoch")}

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl: step, epoch and the numbers that were measured there."""
        path = self.folder / METRICS
        if not path.is_file():
            raise UserError(f"{path}: is not there: the run has logged nothing yet; train it first")
        try:
            return [json.loads(line) for line in path.read_bytes().splitlines()]
        except ValueError as error:
            raise UserError(f"{path}: is damaged ({error}); put the file back from a copy") from error

    @property
    def config(self) -> DictConfig:
        """The configuration as written in config.yaml."""
        return OmegaConf.create(provenance.configuration(self.folder / "config.yaml"))

    def _repr_markdown_(self) -> str:
        return f"`{self.folder}`\n\n{_table(self.metrics)}"


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation and the folder of its files; `per_image` are the rows of per_image.csv, as texts."""

    folder: Path
    metrics: dict[str, float | None]
    per_image: list[dict[str, str]] = field(repr=False)

    def _repr_markdown_(self) -> str:
        return _table(self.metrics)


Checkpoint = Run | str | Path
"""A run, its folder, a file of weights, or a name such as torchvision:deeplabv3_resnet50."""


def train(*overrides: str) -> Run:
    """Train as `densepred-train OVERRIDES` does; return the run.

    Raises UserError for settings and data that do not fit, and if training diverges. A signal, such as the interrupt of
    a notebook, saves a checkpoint and raises KeyboardInterrupt.
    """
    code, folder = call.call(train_.train, "train", overrides, train_.prepared)
    assert folder is not None
    if code == command.STOPPED:
        raise KeyboardInterrupt(f"stopped; go on with: api.train({override('trainer.resume', folder)!r})")
    if code:
        warned = [line for line in (folder / TEXT).read_text(encoding="utf-8").splitlines() if line.startswith("warn")]
        raise UserError(warned[-1].removeprefix("warning: ") if warned else f"{folder / TEXT}: training has failed")
    return Run(folder)


def evaluate(run: Checkpoint | Sequence[Checkpoint], *overrides: str) -> Evaluation:
    """Evaluate as `densepred-eval ckpt=RUN OVERRIDES` does; several runs are an ensemble."""
    code, folder = call.call(evaluate_, "eval", [_ckpt(run), *overrides], dataset_of_checkpoint, ["codec"])
    assert folder is not None
    if code == command.STOPPED:
        raise KeyboardInterrupt("the evaluation was stopped; call it again")
    metrics = _read(folder / "metrics.json", "the evaluation wrote none")["metrics"]
    scores = folder / "per_image.csv"  # some tasks have none
    text = io.StringIO(scores.read_text(encoding="utf-8") if scores.is_file() else "")
    return Evaluation(folder, metrics, list(csv.DictReader(text)))


@overload
def predict(run: Checkpoint | Sequence[Checkpoint], image: list[Any], *overrides: str) -> list[Prediction]: ...
@overload
def predict(run: Checkpoint | Sequence[Checkpoint], image: Picture, *overrides: str) -> Prediction: ...
def predict(
    run: Checkpoint | Sequence[Checkpoint], image: Picture | list[Any], *overrides: str
) -> Prediction | list[Prediction]:
    """Predict an image, or a list of images: paths, PIL images, arrays (H, W[, C]) or tensors (C, H, W).

    Overrides are those of `densepred-predict`, such as "tile=512" and "probabilities=true". A `Run` keeps its model for
    the next call. `predict_files` writes files of results.
    """
    for word in overrides:
        if isinstance(word, str) and (key := override_.key(word)) in OF_FILES:
            raise UserError(f"{key}: predict writes no files; call api.predict_files(run, input, 'output=DIR')")
    images = image if isinstance(image, list) else [image]

    def job(cfg: DictConfig) -> list[Prediction]:
        settings = compose.settings(cfg)
        model = _model(run, settings)
        boxes = predict_.boxes_for(model, settings)
        if isinstance(boxes, BoxFile):
            raise UserError(f"boxes={settings.boxes}: the images of a file have names; call api.predict_files")
        detection_limits.take_full(model.task.codec)  # of a former call
        found = []
        for given in ProgressBar("predicting", len(images), "image", enabled=len(images) > 1).over(images):
            stored = model.stored(given, settings.max_pixels)
            around = None if boxes is None else boxes(stored.image, None, "image")
            annotation = stored.hide(one(model, stored.image, settings, around))
            found.append(Prediction(stored.image, annotation, model.info, settings.threshold))
        _tell(model, settings, found, overrides)
        return found

    found = _returned(job, "predict", [_ckpt(run), "hydra.run.dir=.", *overrides])
    return found if isinstance(image, list) else found[0]


def predict_files(run: Checkpoint | Sequence[Checkpoint], input: str | Path, *overrides: str) -> Path:
    """Predict as `densepred-predict ckpt=RUN input=INPUT OVERRIDES` does; return the folder of the results.

    Raises UserError after the others are predicted if some images cannot be.
    """
    words = [_ckpt(run), f"input={call.quoted(input)}", *overrides]
    code, folder = call.call(predict_.predict, "predict", words, free=["codec"])
    assert folder is not None
    if code == predict_.PARTIAL:
        raise UserError(f"{input}: some images could not be predicted, see the lines above; the others are in {folder}")
    return folder


def _model(run: Checkpoint | Sequence[Checkpoint], settings: Any) -> Predictor:
    """Return the predictor, that of an earlier call if the run has kept it."""
    if not isinstance(run, Run):
        return predict_.loaded(settings)
    processors.use_threads(settings.threads)
    files = [*run.folder.glob("*.safetensors"), *run.folder.glob(temperature.FILE)]
    changed = [path.stat().st_mtime_ns for path in files]
    key = repr((settings.precision, settings.trust, settings.codec, changed))
    if key not in run._models:
        run._models.clear()
        run._models[key] = predict_.loaded(settings)
    return run._models[key]


def _tell(model: Predictor, settings: Any, found: Sequence[Prediction], overrides: Sequence[str]) -> None:
    """Issue notices about settings without effect, and about images with as many predictions as the codec allows."""
    for word in overrides:
        if override_.key(word) in OF_MANY:
            warnings.warn(f"{word}: has no effect: predict takes one image after another", Notice, stacklevel=2)
    if settings.probabilities and any(one.annotation.probabilities is None for one in found):
        warnings.warn("probabilities=true: the model of this checkpoint predicts none", Notice, stacklevel=2)
    scored = any(one.annotation.scores is not None or one.annotation.keypoints is not None for one in found)
    if settings.threshold != PredictSettings.threshold and not scored:
        text = f"threshold={settings.threshold:g}: has no effect: this model predicts nothing with a score"
        warnings.warn(text, Notice, stacklevel=2)
    detection_limits.tell_of_full(model.task.codec, len(found))


def _returned(job: Callable[[DictConfig], T], name: str, words: Sequence[str]) -> T:
    """Return what `job` returns for the configuration of the words."""
    kept: list[T] = []
    call.call(lambda cfg: kept.append(job(cfg)), name, words, free=["codec"])
    return kept[0]


def _ckpt(run: Checkpoint | Sequence[Checkpoint]) -> str:
    runs = run if isinstance(run, list | tuple) else [run]
    names = [str(one.folder) if isinstance(one, Run) else str(one) for one in runs]
    return f"ckpt={call.quoted(names if len(names) > 1 else names[0])}"


def _read(path: Path, reason: str) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: is not there; {reason}")
    return json.loads(path.read_text(encoding="utf-8"))


def _table(metrics: Mapping[str, float | None]) -> str:
    """Return a Markdown table, as notebooks show it."""
    rows = "".join(f"| {name} | {console.number(value)} |\n" for name, value in metrics.items())
    return f"| metric | value |\n|---|---|\n{rows}"
