"""densepred-eval: evaluate a checkpoint on a dataset."""

from __future__ import annotations

import warnings
from pathlib import Path

from omegaconf import DictConfig

from densepred.cli import command, compose, overrides
from densepred.errors import Notice, UserError
from densepred.hub import zoo
from densepred.process import ranks
from densepred.rundir import override, secrets
from densepred.weights import header

EXAMPLES = """
densepred-eval ckpt=RUN                                     on the validation split of its dataset
densepred-eval ckpt=RUN dataset.split=test
densepred-eval 'ckpt=[RUN1,RUN2]'                           the mean of their probabilities, on the dataset of the first
densepred-eval ckpt=RUN 'metric=[confusion,boundary_iou]'   with other metrics than the run
densepred-eval ckpt=RUN codec.threshold=0.4                 with other settings of the codec than the run
densepred-eval ckpt=RUN oracle=ladder                       also with ground truth in place of each head
densepred-eval ckpt=RUN ablate=levels                       also without each level of the encoder in turn
densepred-eval ckpt=RUN dataset=folder dataset.root=OTHER   on other data with the same classes
densepred-eval ckpt=torchvision:deeplabv3_resnet50 dataset=voc dataset.root=DIR    published weights
"""


def main() -> None:
    command.run(evaluate, "eval", EXAMPLES, prepare=dataset_of_checkpoint, free=["codec"])


def dataset_of_checkpoint(arguments: list[str]) -> list[str]:
    """Return the dataset that a checkpoint was trained on, as overrides for a config of this installation.

    They come from a file of unknown origin, so they may only set plain values of a dataset.
    """
    keys, ckpt = {override.key(word) for word in arguments}, override.value(arguments, "ckpt")
    if "dataset" in keys or ckpt is None:
        return []
    first = _first(ckpt)
    if zoo.is_name(first):
        raise UserError(f"ckpt={first}: published weights come without a dataset; add dataset=... with their classes")
    path = header.find_weights(first)
    stored = header.read_header(path).get("dataset")
    stored = stored if isinstance(stored, dict) else {}
    option = stored.get("option")
    if not isinstance(option, str) or not option.isidentifier():
        raise UserError(f"{path}: it does not name the dataset that it was trained on; add dataset=...")
    try:
        typed = overrides.plain(stored.get("overrides", []), "dataset")
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return [f"dataset={option}", *secrets.typed_again(str(path), _untyped(typed, keys), arguments)]


def _first(ckpt: str) -> str:
    """Return the checkpoint, or the first of a list of them."""
    return ckpt.strip("'\"[] ").split(",")[0].strip("'\" ") if ckpt.startswith("[") else ckpt.strip("'\"")


def _untyped(recorded: list[str], keys: set[str]) -> list[str]:
    return [word for word in recorded if override.key(word) not in keys]


def evaluate(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    from densepred.cli import named_checkpoint  # with torch, which --help does without
    from densepred.engine import ensemble
    from densepred.jobs import evaluation

    settings.ckpt = [named_checkpoint.checkpoint(one) for one in ensemble.listed(settings.ckpt)]
    job = evaluation.EvaluationJob(settings, Path(command.folder()))
    if note := ranks.idle_tasks(settings.devices, "devices"):
        warnings.warn(note, Notice, stacklevel=2)
    if ranks.must_start(settings.devices):
        from densepred.jobs import launch

        launch.require_machine(settings.devices, "devices")
        timeout = min(settings.data.timeout_s, settings.timeout_s)
        return launch.launch(evaluation.work, job, settings.devices, 0, timeout, "type the command again")
    return evaluation.work(job)


if __name__ == "__main__":
    main()
