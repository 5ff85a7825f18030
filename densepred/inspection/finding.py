"""A finding in a dataset: its facts, its samples and the override or command that answers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

LEVELS = ("error", "warning", "note")
"""An error ends a training, a warning lowers its scores or makes them wrong, a note is a fact to know."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of fault. `samples` are the ids of all samples concerned, worst first; `override` is ready to type.

    `partners` are the split and the id of the image that each sample looks like.
    """

    level: str
    kind: str
    fact: str
    remedy: str
    samples: tuple[str, ...] = ()
    override: str = ""
    partners: tuple[tuple[str, str], ...] = ()

    @property
    def splits(self) -> list[str]:
        """The splits that the fact begins with, such as "train, valid: ..."."""
        return self.fact.partition(": ")[0].split(", ")

    def to_json(self) -> dict[str, Any]:
        out = {**asdict(self), "count": len(self.samples)}
        if not self.partners:
            del out["partners"]
        return out


def merged(findings: Iterable[Finding]) -> list[Finding]:
    """Return equal facts of several splits or files once, with the names of all: "train, valid: ...".

    Those with samples stay apart, because a name of a sample may stand in several splits.
    """
    found, places = list[Finding](), dict[tuple[str, ...], int]()
    for one in findings:
        name, colon, text = one.fact.partition(": ")
        key = (one.level, one.kind, text if colon else one.fact, one.remedy, one.override)
        if one.samples or places.setdefault(key, len(found)) == len(found):
            found.append(one)
            continue
        first = found[places[key]]
        fact = f"{', '.join(dict.fromkeys((*first.splits, name)))}: {text}" if colon else one.fact
        found[places[key]] = replace(first, fact=fact)
    return found


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Sort by level, then by the number of samples."""
    return sorted(findings, key=lambda one: (LEVELS.index(one.level), -len(one.samples), one.kind))


def exit_code(findings: Sequence[Finding]) -> int:
    """Return 2 if a training would fail, otherwise 0."""
    return 2 if any(one.level == "error" for one in findings) else 0
