"""Oracle evaluation: decode again with the ground truth in place of a head's output, to see which head to improve.

One pass of the network serves every variant; losses stay those of the network itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from densepred.engine.evaluate import compute, decode_and_score
from densepred.errors import UserError, suggest
from densepred.rundir import console
from densepred.task import Task
from densepred.types import Annotation, Batch, Outputs

NONE, ALL, LADDER = "none", "all", "ladder"
COLUMNS = 7  # of the table, the monitored metric included


class Oracle:
    """Called with each batch of an evaluation, as its `seen`; then `values` has the metrics of every variant.

    wanted: names of heads that are replaced by the ground truth together; or "ladder", for each head alone and for all
    together. The network's own outputs are always evaluated too.
    """

    def __init__(self, task: Task, wanted: object, align_corners: bool) -> None:
        self.task, self.align_corners = task, align_corners
        self.variants = {NONE: (), **variants(wanted, list(task.heads))}
        self.metrics = {name: task.new_metrics() for name, heads in self.variants.items() if heads}
        self.values: dict[str, dict[str, float | None]] = {}

    def __call__(self, batch: Batch, found: Sequence[Annotation], outputs: Outputs) -> None:
        device = next(iter(outputs.values()))[-1].device
        targets = {name: value.to(device, non_blocking=True) for name, value in batch.targets.items()}
        perfect_outputs = self.task.codec.perfect_outputs(targets)
        for name, metrics in self.metrics.items():
            mixed = {**outputs, **{head: [perfect_outputs[head]] for head in self.variants[name]}}
            decode_and_score(self.task, metrics, mixed, batch, self.align_corners)

    def finish(self, own: Mapping[str, float | None]) -> None:
        """Compute the metrics, on every process; `own` are those of the network itself."""
        self.values = {NONE: dict(own), **{name: compute(metrics) for name, metrics in self.metrics.items()}}
        for values in self.values.values():
            for name in [name for name in values if name.startswith("loss/")]:
                del values[name]

    def report(self) -> str:
        """Return a table of the variants and the advice."""
        names = self._columns()
        rows = [[name, *(console.number(found.get(column)) for column in names)] for name, found in self.values.items()]
        return "\n".join([console.table(["ground truth for", *names], rows), "", f"  {self.advice()}"])

    def advice(self) -> str:
        """Name the head that improves the monitored metric most if the ground truth replaces it alone."""
        name = self._monitor()
        own = self.values[NONE].get(name)
        alone = {heads[0]: self.values[v].get(name) for v, heads in self.variants.items() if len(heads) == 1}
        if len(self.task.heads) > 1 and len(alone) < 2:
            return "oracle=ladder shows which head to improve first"
        if own is None:
            return f"{name} is undefined here, so no head can be named"
        sign = 1 if self.task.direction(name) == "max" else -1
        gains = {head: sign * (value - own) for head, value in alone.items() if value is not None}
        best = max(gains, key=lambda head: gains[head], default=None)
        if best is None or gains[best] <= 0:
            return f"no head alone gains {name}: the heads agree, or they share their errors"
        change = f"{console.number(own)} to {console.number(alone[best])}"
        return f"improve {best} first: with its ground truth {name} goes from {change}"

    def facts(self) -> dict[str, Any]:
        """Return the monitored metric, all metrics and the advice, for metrics.json."""
        return {"monitor": self._monitor(), "metrics": self.values, "advice": self.advice()}

    def _monitor(self) -> str:
        known = [name for metric in self.task.new_metrics().values() for name in metric.mode]
        return self.task.monitor if self.task.monitor in known or not known else known[0]

    def _columns(self) -> list[str]:
        """Return the monitored metric, then others of the whole dataset."""
        first = self._monitor()
        return [first, *(name for name in self.values[NONE] if "/" not in name and name != first)][:COLUMNS]


def variants(wanted: object, heads: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the heads of each variant, by its name. Raises UserError for unknown heads."""
    words = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
        raise UserError(f"oracle: {wanted}; give heads, such as 'oracle=[{','.join(heads)}]', or oracle=ladder")
    if words == [LADDER]:
        each: dict[str, tuple[str, ...]] = {head: (head,) for head in heads}
        return each if len(heads) == 1 else {**each, ALL: tuple(heads)}
    if {LADDER, ALL} & (set(words) - set(heads)):
        raise UserError(
            f"oracle: {wanted}; type oracle=ladder for each head alone and all together, or name the heads to replace "
            f"together, such as 'oracle=[{','.join(heads)}]'"
        )
    if unknown := [word for word in words if word not in heads]:
        raise UserError(f"oracle: there is no head {unknown[0]}; {suggest(unknown[0], [*heads, LADDER])}")
    kept = tuple(head for head in heads if head in words)
    return {" + ".join(kept): kept}
