"""Which keypoints belong to the lower half of a body."""

from __future__ import annotations

from collections.abc import Sequence

LOWER = ("hip", "pelvis", "knee", "ankle", "foot", "heel", "toe")


def lower_body(names: Sequence[str]) -> tuple[int, ...]:
    """Those whose name has a part of the lower body in it; () where all or none have, as of hands and faces."""
    found = tuple(i for i, name in enumerate(names) if any(word in name.lower() for word in LOWER))
    return found if len(found) < len(names) else ()
