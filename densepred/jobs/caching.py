"""The samples of a training kept decoded, `data.cache`."""

from __future__ import annotations

import torch

from densepred import distributed
from densepred.contracts import Dataset
from densepred.errors import UserError
from densepred.loader import cache, workers
from densepred.rundir.progress_bar import ProgressBar
from densepred.settings import DataSettings


def kept(
    train: Dataset, valid: Dataset, settings: DataSettings, device: torch.device
) -> tuple[Dataset, Dataset, list[str]]:
    """Return the splits, decoded once if `data.cache` asks for it, and the line about it.

    Raises UserError if they do not fit, or several processes would each keep all samples.
    """
    kind = settings.cache
    if kind is None:
        return train, valid, []
    if (world := distributed.world()) > 1:
        raise UserError(
            f"data.cache={kind}: is for one process, and each of the {world} of this run would keep all samples; "
            "remove it, or set trainer.devices=1"
        )
    cache.require((train, valid), kind)
    number = workers.number(settings.workers, device)
    cached = {name: _cached(name, split, kind, number) for name, split in {"train": train, "valid": valid}.items()}
    return cached["train"], cached["valid"], [cache.describe(cached, kind)]


def _cached(name: str, split: Dataset, kind: str, number: int) -> cache.Cached:
    return cache.cached(split, kind, number, ProgressBar(f"decoding {name}", len(split), "image").over)
