"""Validation images that cannot be read, found before a training that leaves unreadable training images out."""

from __future__ import annotations

import torch

from densepred import distributed
from densepred.contracts import Dataset
from densepred.errors import MachineError, UserError
from densepred.loader import workers
from densepred.loader.loaders import LEFT_OUT
from densepred.loader.parallel_map import parallel_map
from densepred.loader.samples import checked
from densepred.rundir.progress_bar import ProgressBar
from densepred.settings import DataSettings

NAMED = 3
"""Images that the message names beside their number."""


class _Fault:
    """The error of a sample, None if it can be read."""

    def __init__(self, data: Dataset) -> None:
        self.data = data

    def __call__(self, index: int) -> str | None:
        try:
            checked(self.data[index])
        except MachineError:
            raise
        except UserError as error:
            return str(error)
        return None


def require(valid: Dataset, settings: DataSettings, device: torch.device, resume: bool) -> None:
    """Read every validation sample once if `data.on_bad=skip`; raise UserError if some cannot be read.

    A score over fewer images is another score, so the key leaves out training images alone. Without this look such a
    run would end at its first validation. The processes of a run share the work. A run that is resumed has validated.
    """
    if settings.on_bad != "skip" or resume:
        return
    mine = list(distributed.shard(range(len(valid))))
    read = parallel_map(_Fault(valid), mine, min(workers.number(settings.workers, device), len(mine)))
    bar = ProgressBar("reading valid", len(mine), "image", enabled=distributed.is_main())
    found = [(index, fault) for index, fault in zip(mine, bar.over(read), strict=True) if fault is not None]
    bad = sorted(pair for part in distributed.gather(found) for pair in part)
    if not bad:
        return
    faults = [fault for _, fault in bad[:NAMED]]
    more = f"; and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    raise UserError(
        f"data.on_bad=skip: {len(bad)} of {len(valid)} validation images cannot be read, and {LEFT_OUT}, because a "
        f"score over fewer images is another one; replace or remove these files: {'; '.join(faults)}{more}"
    )
