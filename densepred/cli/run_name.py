"""Name of the folder of runs: the task, the dataset, the model, and the encoder if it was typed."""

from __future__ import annotations

import re

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf


def run_name(*, _root_: DictConfig) -> str:
    """Return `<task>-<dataset>-<model>`, then `-<encoder>` if the command names one: for timm, that of the network."""
    composed = HydraConfig.get()
    chosen = composed.runtime.choices
    parts = [str(chosen[group]) for group in ("task", "dataset", "model")]
    words = OmegaConf.to_container(composed.overrides.task, resolve=False)
    if {str(word).lstrip("+").partition("=")[0] for word in words or ()} & {"encoder", "encoder.name"}:
        name = OmegaConf.select(_root_, "encoder.name") if chosen["encoder"] == "timm" else chosen["encoder"]
        parts.append(re.sub(r"[^\w.-]+", "_", str(name)))
    return "-".join(parts)
