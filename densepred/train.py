"""densepred-train: train a model from a configuration."""

from __future__ import annotations

import sys
import warnings

from omegaconf import DictConfig

from densepred.cli import claim, command, compose, flags, stride
from densepred.cli.inherit import inherited
from densepred.cli.typed import Typed
from densepred.errors import Notice, UserError
from densepred.home import expand
from densepred.process import ranks
from densepred.process.role import is_first
from densepred.rundir import override, provenance, secrets, variables
from densepred.rundir.free import OF_ONE_START
from densepred.settings import TrainerSettings

EXAMPLES = """
densepred-train                                             the default model on drawn scenes
densepred-train model=deeplabv3 loss=focal trainer.max_steps=200
densepred-train 'metric=[confusion,boundary_iou]' trainer.monitor=boundary_iou
densepred-train dataset=folder dataset.root=DIR data.crop=256
densepred-train recipe=finetune dataset.root=DIR            your own images, ImageNet weights, lengths from the data
densepred-train experiment=camvid_unet dataset.root=DIR
densepred-train trainer.resume=RUN                          continue a run that was stopped
densepred-train trainer.resume=auto hydra.run.dir=RUN       begin it, or continue if it has begun
densepred-train weights.init=RUN dataset=folder dataset.root=OTHER
densepred-train --multirun model=unet,deeplabv3 loss=ce,focal
"""


def main() -> None:
    command.run(train, "train", EXAMPLES, prepare=prepared)


def prepared(arguments: list[str]) -> list[str]:
    """Return overrides to put before those that are typed: of a run to go on from, and the model's output stride."""
    resumed = recorded(arguments)
    if override.value(arguments, "trainer.resume") not in (None, claim.AUTO):
        return resumed
    typed = Typed("train", command.configs(), [*flags.split(sys.argv[1:])[0], *arguments])
    before = inherited(typed, begun(arguments))
    return [*before, *stride.kept(typed, before)]


def recorded(arguments: list[str]) -> list[str]:
    """Return the overrides that `trainer.resume=RUN` was started with, except those that are typed again."""
    folder = override.value(arguments, "trainer.resume")
    if folder == claim.AUTO:
        require_folder(arguments)
    if folder in (None, "null", claim.AUTO):
        return []
    if not folder:
        raise UserError("trainer.resume= names no folder; type trainer.resume=RUN, or leave it out")
    run = expand(folder)
    if run.is_file():
        raise UserError(f"trainer.resume={run}: is a file; give the folder of a run, or weights.init=FILE")
    if not run.is_dir():
        raise UserError(f"trainer.resume={run}: there is no such run folder; see `ls runs`")
    typed = {*(override.key(word) for word in arguments), *OF_ONE_START}
    before = [word for word in provenance.overrides(run) if override.key(word) not in typed]
    return secrets.typed_again(f"trainer.resume={run}", before, arguments)


def begun(arguments: list[str]) -> list[str]:
    """Return the recorded overrides of the run that `trainer.resume=auto` goes on with, [] if there is none yet."""
    folder = override.value(arguments, "hydra.run.dir") if override.value(arguments, "trainer.resume") else None
    return provenance.overrides(expand(folder)) if folder and provenance.exists(expand(folder)) else []


def require_words(trainer: TrainerSettings) -> None:
    """Raise UserError for settings of one start that come from a file or from a mapping, and so would be recorded."""
    typed = {override.key(word) for word in command.overrides()}
    if trainer.resume is not None and "trainer.resume" not in typed:
        raise UserError(
            "trainer.resume: set in a file or a mapping, which does not restore the settings of the run; "
            f"type trainer.resume={trainer.resume}"
        )
    if trainer.allow and "trainer.allow" not in typed:
        raise UserError(
            "trainer.allow: set in a file or a mapping, so it would count for every start; "
            f"type 'trainer.allow=[{','.join(trainer.allow)}]'"
        )


def require_folder(arguments: list[str]) -> None:
    """Raise UserError unless a folder is typed in which `trainer.resume=auto` can begin or go on."""
    typed = override.value(arguments, "hydra.run.dir")
    if not typed or "${now:" in typed:
        raise UserError("trainer.resume=auto: the folder must be the same at every start; add hydra.run.dir=DIR")
    path = expand(typed)
    if path.exists() and not path.is_dir():
        raise UserError(f"hydra.run.dir={path}: is a file; choose a folder")
    from densepred.rundir import lock  # with torch

    others = path.is_dir() and not lock.is_unfinished_start(path)
    if others and not (provenance.exists(path) or (path / "checkpoints").is_dir()):
        raise UserError(f"hydra.run.dir={path}: holds other files and no run; choose another folder")


def require_weights(cfg: DictConfig) -> None:
    """Raise UserError if the ImageNet weights of a new run can be had from nowhere."""
    given = [cfg.trainer.resume, *(cfg.weights[key] for key in ("init", "encoder", "model"))]
    if not any(given) and "encoder" not in compose.idle_groups(cfg):
        from densepred.hub import packaged

        packaged.require(cfg.encoder)


def train(cfg: DictConfig) -> int:
    require_weights(cfg)
    from densepred.jobs import recipe, resuming, training  # with torch, which --help does without

    built = recipe.choose(cfg, command.choices(), command.overrides())
    settings = compose.settings(cfg)
    require_words(settings.trainer)

    used = {str(group) for group in compose.INJECTED} - compose.idle_groups(cfg)
    job = training.TrainingJob(
        settings,
        provenance.as_written(cfg),
        command.folder(),
        command.choices(),
        used,
        command.overrides(),
        variables.behind(cfg),
    )
    trainer = settings.trainer
    for note in (ranks.idle_tasks(trainer.devices, "trainer.devices"), ranks.queued_again(trainer.resume)):
        if note is not None and is_first():
            warnings.warn(note, Notice, stacklevel=2)
    if ranks.must_start(trainer.devices):
        from densepred.jobs import launch

        devices = trainer.devices
        if (mistake := ranks.indivisible(settings.data.batch_size, devices, "trainer.devices")) is not None:
            raise UserError(mistake)  # before processes start, which takes seconds each
        launch.require_machine(devices, "trainer.devices")
        go_on = f"resume with: {resuming.command(job.folder)}"
        timeout = min(settings.data.timeout_s, trainer.timeout_s)
        return launch.launch(training.work, job, devices, trainer.max_restarts, timeout, go_on)
    return training.work(job, built)


if __name__ == "__main__":
    main()
