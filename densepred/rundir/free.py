"""Settings that may change when a run is resumed."""

from __future__ import annotations

from collections.abc import Sequence

OF_ONE_START = ("trainer.resume", "trainer.allow")
"""Settings of one start, not of the run."""

FREE = ("trainer.resume", "trainer.allow", "trainer.keep_last", "trainer.save_every", "trainer.max_restarts")
FREE += ("trainer.timeout_s",)
FREE += (
    "data.cache",
    "data.workers",
    "data.timeout_s",
    "data.allow_overlap",
    "data.check",
    "dataset.outside",
    "trainer.threads",
    "trainer.devices",
    "trainer.checkpointing",
    "trainer.shard",
    "trainer.probes",
    "logger",
    "sweep",
)
"""Settings that may change when a run is resumed: they do not change what it computes, or a warning reports it."""


def named(key: str, names: Sequence[str]) -> bool:
    """Return True if a key, or a part of the settings that holds it, is among `names`."""
    return any(key == name or key.startswith(f"{name}.") for name in names)
