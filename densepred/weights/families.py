"""From the names in other people's checkpoints to ours, by the tables of `keymap/`."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from densepred.weights import keymap


@dataclass(frozen=True, slots=True)
class Family:
    """A family of checkpoints; see `densepred.keymap` for what its parts mean."""

    name: str
    marks: Sequence[str]
    rules: Sequence[tuple[str, str | None]]
    expects: Mapping[str, object] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def holds(self, names: Collection[str]) -> bool:
        """Whether a file with tensors of these names is of this family."""
        return all(any(re.fullmatch(mark, name) for name in names) for mark in self.marks)

    def translate(self, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
        """The tensors by our names, those without a rule by their own, and the names of those no model needs."""
        ours: dict[str, Tensor] = {}
        extras: list[str] = []
        for name, value in state.items():
            found = next(((m, to) for pattern, to in self.rules if (m := re.fullmatch(pattern, name))), None)
            if found is None:
                ours[name] = value
            elif found[1] is None:
                extras.append(name)
            else:
                ours[found[0].expand(found[1])] = value
        return ours, extras


def families() -> dict[str, Family]:
    """Every table of `keymap/`, by the name of its module."""
    return {module: family(module) for module in sorted(one.name for one in pkgutil.iter_modules(keymap.__path__))}


def family(module: str) -> Family:
    table = importlib.import_module(f"{keymap.__name__}.{module}")
    more = {name: getattr(table, name.upper()) for name in ("expects", "mean", "std") if hasattr(table, name.upper())}
    return Family(table.NAME, table.MARKS, table.RULES, **more)


def recognise(names: Iterable[str]) -> list[str]:
    """The modules of `keymap/` whose marks these names bear."""
    held = set(names)
    return [module for module, one in families().items() if one.holds(held)]
