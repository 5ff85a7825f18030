"""Weights & Biases: https://docs.wandb.ai. Without a network, `logger.wandb.mode=offline` keeps the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from densepred.logger.service import RunId, package

EXITS = {"finished": 0, "stopped": 75, "failed": 1}
"""Exit code per end of a run; other than 0 shows it as failed."""


class WeightsAndBiases:
    """Charts over `step`. A resumed run goes on under its id; steps after its checkpoint are logged again.

    mode: online, offline, or null for what the environment variable WANDB_MODE names
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        project: str = "densepred",
        entity: str | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        mode: str | None = None,
    ) -> None:
        self.module, known = package("wandb", "wandb"), RunId(folder, "wandb")
        self.run = self.module.init(
            dir=str(folder),
            project=project,
            entity=entity,
            name=name or folder.name,
            tags=list(tags),
            mode=mode,
            id=known.read(),
            resume="allow",
            config=dict(config),
            save_code=False,
        )
        known.write(self.run.id)
        # With an axis of our own no entry is dropped: the program's counter never goes back, a resumed run does.
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")

    def scalars(self, values: Mapping[str, float], step: int, epoch: int) -> None:
        self.run.log({**values, "step": step, "epoch": epoch})

    def image(self, name: str, image: np.ndarray, step: int) -> None:
        self.run.log({name: self.module.Image(np.moveaxis(image, 0, -1)), "step": step})

    def files(self) -> list[Path]:
        return []

    def flush(self) -> None:
        """The package sends by itself."""

    def close(self, ended: str) -> None:
        if ended == "stopped":
            self.run.mark_preempting()  # with an exit code other than 0 the program shows it as preempted
        self.run.finish(exit_code=EXITS[ended])
