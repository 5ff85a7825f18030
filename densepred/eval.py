"""densepred-eval: evaluate a checkpoint on a dataset."""

from __future__ import annotations

import warnings
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig

from densepred.cli import command, compose, overrides
from densepred.errors import Notice, UserError
from densepred.hub import zoo
from densepred.process import ranks
from densepred.rundir import override, secrets
from densepred.weights import header, trusted

EXAMPLES = """
densepred-eval ckpt=RUN                                     on the validation split of its dataset
densepred-eval ckpt=RUN dataset.split=test
densepred-eval 'ckpt=[RUN1,RUN2]'                           the mean of their probabilities, on the dataset of the first
densepred-eval ckpt=RUN 'metric=[confusion,boundary_iou]'   with other metrics than the run
densepred-eval ckpt=RUN codec.threshold=0.4                 with other settings of the codec than the run
densepred-eval ckpt=RUN oracle=ladder                       also with ground truth in place of each head
densepred-eval ckpt=RUN ablate=levels                       also without each level of the encoder in turn
densepred-eval ckpt=RUN dataset=folder dataset.root=OTHER   on other data with the same classes
densepred-eval --multirun ckpt=RUN1,RUN2                    one after the other, on the dataset of both
densepred-eval ckpt=torchvision:deeplabv3_resnet50 dataset=voc dataset.root=DIR    published weights
"""


LIMIT = "dataset.max_pixels"  # it follows data.max_pixels, and a record holds its value


def main() -> None:
    command.run(evaluate, "eval", EXAMPLES, prepare=dataset_of_checkpoint, free=["codec"])


def dataset_of_checkpoint(arguments: list[str]) -> list[str]:
    """Return the dataset that a checkpoint was trained on, as overrides for a config of this installation.

    They come from a file of unknown origin, so they may only set plain values of a dataset.
    """
    keys = {override.key(word) for word in arguments}
    found = [] if "dataset" in keys else [(one, _recorded(one, keys, arguments)) for one in _first(arguments)]
    if differing := [one for one, words in found if words != found[0][1]]:
        raise UserError(
            f"ckpt: {found[0][0]} and {differing[0]} of this sweep were trained on different datasets; "
            "add dataset=... for all of them, or evaluate one after the other"
        )
    return found[0][1] if found else []


def _recorded(ckpt: str, keys: set[str], arguments: list[str]) -> list[str]:
    """Return the dataset of one checkpoint as overrides, without those of `keys`."""
    if zoo.is_name(ckpt):
        raise UserError(f"ckpt={ckpt}: published weights come without a dataset; add dataset=... with their classes")
    path = header.find_weights(ckpt)
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


def _first(arguments: list[str]) -> list[str]:
    """Return the checkpoint, or the first of a list of them; with --multirun that of each job."""
    words = [word for word in arguments if override.key(word) == "ckpt" and word[:1] not in ("-", "~")]
    try:
        parsed = [OverridesParser.create().parse_override(word) for word in words[-1:]]
    except HydraException:  # composition refuses it, with a sentence
        return []
    values = [one for each in parsed for one in (each.sweep_iterator() if each.is_sweep_override() else [each.value()])]
    firsts = [value[0] if isinstance(value, list) and value else value for value in values]
    return [one.text if isinstance(one, QuotedString) else str(one) for one in firsts if one is not None]


def _untyped(recorded: list[str], keys: set[str]) -> list[str]:
    """Return the words without those of `keys`; a limit that was recorded must not win over data.max_pixels."""
    typed = keys | {LIMIT} if "data.max_pixels" in keys else keys
    return [word for word in recorded if override.key(word) not in typed]


def evaluate(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    from densepred.cli import named_checkpoint  # with torch, which --help does without
    from densepred.engine import ensemble
    from densepred.jobs import evaluation

    settings.ckpt = [named_checkpoint.checkpoint(one) for one in ensemble.listed(settings.ckpt)]
    trusted.tell(settings.ckpt, settings.trust)
    if not {"data", "data.batch_size", "data.valid_batch_size"} & {override.key(word) for word in command.overrides()}:
        settings.data.valid_batch_size = _validated_by(settings.ckpt[0])
    job = evaluation.EvaluationJob(settings, Path(command.folder()))
    if (note := ranks.idle_tasks(settings.devices, "devices")) is not None:
        warnings.warn(note, Notice, stacklevel=2)
    if ranks.must_start(settings.devices):
        from densepred.jobs import launch

        launch.require_machine(settings.devices, "devices")
        timeout = min(settings.data.timeout_s, settings.timeout_s)
        return launch.launch(evaluation.work, job, settings.devices, 0, timeout, "type the command again")
    return evaluation.work(job)


def _validated_by(ckpt: str) -> int | None:
    """Return the images per batch of a run's validation, on which its losses depend; None if its file lacks them."""
    found = header.read_header(header.find_weights(ckpt)).get(header.VALID_BATCH)
    return found if isinstance(found, int) and found > 0 else None


if __name__ == "__main__":
    main()
