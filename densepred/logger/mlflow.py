"""MLflow: https://mlflow.org/docs. Without a server, runs are kept in `mlflow.db` of the current folder."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from densepred.logger.service import RunId, package

FORBIDDEN = re.compile(r"[^\w\-. :/]")
"""Characters that a name in MLflow cannot have."""
LONGEST, MOST = 6000, 100
"""Characters of a parameter and parameters of one request that every server takes."""

STATES = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


class Mlflow:
    """Metrics by step, settings as parameters. A resumed run goes on under its id and logs the later steps again.

    uri: of the server or database; None for what MLFLOW_TRACKING_URI names, else `mlflow.db`
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, Any],
        experiment: str = "densepred",
        uri: str | None = None,
        name: str | None = None,
    ) -> None:
        module, known = package("mlflow", "mlflow"), RunId(folder, "mlflow")
        self.client = module.MlflowClient(tracking_uri=uri)
        id = known.read()
        if id is None:
            found = self.client.get_experiment_by_name(experiment)
            place = self.client.create_experiment(experiment) if found is None else found.experiment_id
            id = self.client.create_run(place, run_name=name or folder.name).info.run_id
            known.write(id)
            self._settings(module, id, config)
        else:
            self.client.update_run(id, status="RUNNING")
        self.module, self.id = module, id

    def scalars(self, values: Mapping[str, float], step: int, epoch: int) -> None:
        metric = self.module.entities.Metric
        stamp = int(self.module.utils.time.get_current_time_millis())
        named = {"epoch": float(epoch), **values}
        self.client.log_batch(
            self.id, metrics=[metric(FORBIDDEN.sub("_", key), value, stamp, step) for key, value in named.items()]
        )

    def image(self, name: str, image: np.ndarray, step: int) -> None:
        self.client.log_image(self.id, np.moveaxis(image, 0, -1), artifact_file=f"{name}/{step:08d}.png")

    def files(self) -> list[Path]:
        return []

    def flush(self) -> None:
        """Each entry is sent at once."""

    def close(self, ended: str) -> None:
        self.client.set_terminated(self.id, status=STATES[ended])

    def _settings(self, module: Any, id: str, config: Mapping[str, Any]) -> None:
        parameters = [
            module.entities.Param(
                FORBIDDEN.sub("_", key), (value if isinstance(value, str) else json.dumps(value))[:LONGEST]
            )
            for key, value in config.items()
        ]
        for start in range(0, len(parameters), MOST):
            self.client.log_batch(id, params=parameters[start : start + MOST])
