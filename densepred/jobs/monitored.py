"""The score that selects the best weights of a run, before the run."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from densepred.build.instantiate import build
from densepred.jobs import parts
from densepred.jobs.class_weights import resolve_class_weights


def monitored(config: DictConfig) -> tuple[str, str]:
    """Return the name of the score of a training and its mode, "max" or "min"; the training split is opened for it.

    Raises UserError if no metric computes the score.
    """
    name = OmegaConf.select(config, "trainer.monitor")
    train = parts.dataset(OmegaConf.to_container(config.dataset, resolve=True), "train")  # pyright: ignore[reportArgumentType]
    node = OmegaConf.to_container(config.task, resolve=True)
    task = build(resolve_class_weights(node, train, config.data.on_bad == "skip")[0], None, "task", info=train.info)  # pyright: ignore[reportArgumentType]
    return name or task.monitor, task.direction(name)
