"""Calibration by an evaluation: `calibrate=true` fits temperatures and keeps them beside the weights."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from densepred import distributed
from densepred.engine import temperature
from densepred.errors import Notice, UserError
from densepred.settings import EvalSettings


def check(settings: EvalSettings, paths: Sequence[Path], split: str) -> None:
    """Raise UserError if a fit is wanted that would not be of one network on the validation split."""
    if not settings.calibrate:
        return
    if len(paths) > 1:
        raise UserError("calibrate: fits one run; type it for each run, and the ensemble uses the temperature of each")
    if settings.flip or settings.skip_stages or settings.oracle is not None:
        raise UserError("calibrate: fits the network as it is; leave flip, skip_stages and oracle out")
    if split != "valid":
        raise UserError(f"calibrate: fits on the validation split, not on {split}; type dataset.split=valid")


def finish(samples: temperature.Samples, path: Path, split: str) -> tuple[dict[str, Any], str]:
    """Fit and store the temperatures; return the facts for metrics.json, and a table."""
    facts: dict[str, Any] = {"temperature": {}, "nll_before": {}, "nll_after": {}, "pixels": {}, "split": split}
    lines = []
    for name in samples.specs:
        logits, labels = samples.joined(name)
        if not len(labels):
            raise UserError(f"calibrate: head {name}: no pixel of the {split} split has a known class; label some")
        found = temperature.fit(logits, labels)
        if not temperature.LOWEST * 1.001 < found < temperature.HIGHEST * 0.999:
            text = f"calibrate: head {name}: the temperature {found:g} is the bound of the search; train longer"
            warnings.warn(text, Notice, stacklevel=2)
        before, after = temperature.nll(logits, labels), temperature.nll(logits, labels, found)
        facts["temperature"][name], facts["pixels"][name] = found, len(labels)
        facts["nll_before"][name], facts["nll_after"][name] = before, after
        lines.append(f"  head {name}: temperature {found:.4f}, NLL {before:.4f} -> {after:.4f} on {len(labels)} pixels")
    file = path.parent / temperature.FILE
    if distributed.is_main():
        temperature.store(path, facts)
    return facts, "\n".join([*lines, f"  stored in {file}; prediction and evaluation use it from now on"])
