"""Sentences below the table of a sweep: jobs that do not compare, equal ones, and those of a former command."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from densepred.sweep.job import SweepJob
from densepred.sweep.ledger import Ledger
from densepred.sweep.table import unlike

FEW = 3  # folders that a sentence names


def of(jobs: Sequence[SweepJob]) -> list[str]:
    """Return the sentences on the jobs of the table."""
    return [*unlike(jobs), *_equal(jobs)]


def _equal(jobs: Sequence[SweepJob]) -> Iterator[str]:
    """Yield a sentence for jobs that were typed alike, as by seed=1,1: they are no further samples."""
    groups = defaultdict[tuple[str, ...], list[str]](list)
    for job in jobs:
        groups[tuple(sorted(job.overrides))].append(str(job.number))
    for numbers in groups.values():
        if len(numbers) > 1:
            yield f"jobs {', '.join(numbers)} have equal settings, so they are one run that was computed again"


def left(sweep: Path, folders: Collection[Path]) -> Iterator[str]:
    """Yield a sentence if the folder of a sweep holds jobs of a former command, other than those in `folders`."""
    others = [name for name in Ledger(sweep).last() if sweep / name not in folders and (sweep / name).is_dir()]
    if others:
        names = ", ".join(str(sweep / name) for name in others[:FEW]) + (", ..." if len(others) > FEW else "")
        yield f"not in this table, because this command does not make them: {names}"


def tell_left(config: DictConfig, sweep: Path, folders: Collection[Path]) -> None:
    """Print the sentence of `left`, except for batches of jobs (max_batch_size), which come one after the other."""
    if OmegaConf.select(config, "hydra.sweeper.max_batch_size") is None:
        for sentence in left(sweep, folders):
            print(f"  {sentence}", flush=True)
