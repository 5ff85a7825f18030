"""Ids of masks other than 0, 1, 2, ...: their meaning, and the settings that read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from densepred.errors import in_shell
from densepred.types import MAX_CLASSES, VOID

_VOID = frozenset([VOID])
SHOWN = 8  # ids in a message
TYPED = 12  # entries of a label_map in a message


@dataclass(frozen=True, slots=True)
class Numbering:
    """The meaning of the ids of masks. `kind` and `fact` are empty if they are 0, 1, 2, ...

    needed: settings of the dataset that read them; classes: the number of classes then, None for too many.
    odd: the ids that ask for them.
    """

    kind: str = ""
    fact: str = ""
    needed: Mapping[str, Any] = field(default_factory=dict)
    classes: int | None = None
    odd: frozenset[int] = frozenset()

    def remedy(self) -> str:
        """Return what to type, with its condition if there is one."""
        if self.classes is None:
            return "for maps of instances take dataset=instance_folder, else merge classes by dataset.label_map"
        if self.kind == "void_label":
            return f"if {VOID} means unknown, add dataset.ignore_index={VOID}"
        entries = [f"{value}: {label}" for value, label in self.needed["label_map"].items()]
        words = in_shell(f"dataset.label_map={{{', '.join(entries)}}}")
        if self.kind == "gaps_in_labels":
            shown = words if len(entries) <= TYPED else f"{words[:40]}...}}', which densepred-check lists"
            return f"number them, as {shown}, or give dataset.classes"
        return f"add {words}"


def numbering(masks: Sequence[frozenset[int]]) -> Numbering:
    """Return the meaning of the ids that masks hold, one set per mask."""
    ids = sorted({value for one in masks for value in one})
    classes = [value for value in ids if value != VOID]
    whole, white = classes == list(range(len(classes))), sum(VOID in one for one in masks)
    if whole and not white:
        return Numbering(classes=len(classes))
    if ids == [0, VOID]:
        return Numbering("binary_masks", "masks hold the ids 0 and 255 alone", {"label_map": {VOID: 1}}, 2, _VOID)
    if classes == [0, 1] and not any({1, VOID} <= one for one in masks):
        fact = f"{white} of {len(masks)} masks write the second class as 255, and others as 1"
        return Numbering("mixed_masks", fact, {"label_map": {VOID: 1}}, 2, _VOID)
    if whole:
        fact = f"{white} of {len(masks)} masks hold 255 beside the ids 0 to {len(classes) - 1}, and it usually is void"
        return Numbering("void_label", fact, {"ignore_index": VOID}, len(classes), _VOID)
    return _with_gaps(ids)


def _with_gaps(ids: Sequence[int]) -> Numbering:
    void = VOID in ids and len(ids) > 2
    classes = [value for value in ids if not (void and value == VOID)]
    few = ", ".join(map(str, ids[:SHOWN])) + (", ..." if len(ids) > SHOWN else "")
    fact = f"masks hold {len(ids)} ids with gaps between them: {few}" if len(ids) > 1 else f"masks hold one id, {few}"
    if len(classes) > MAX_CLASSES:
        return Numbering("gaps_in_labels", f"{fact}, more than {MAX_CLASSES} classes")
    label_map = {value: index for index, value in enumerate(classes) if value != index}
    label_map |= {VOID: VOID} if void else {}
    return Numbering("gaps_in_labels", fact, {"label_map": label_map}, len(classes), frozenset(label_map))
