"""Record of a run's splits, splits.json: which image went where, and what has changed since."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from densepred.atomic import write_json
from densepred.contracts import Dataset
from densepred.dataset.paths import split_word
from densepred.errors import UserError
from densepred.home import expand
from densepred.output import many

FILE = "splits.json"
MOST = 200_000
"""Names of a split that are written; of larger splits there is the digest alone."""

FOLDS = ("folds", "fold", "seed", "group")
"""The settings of a dataset that decide its folds."""

FEW = 3  # names that messages show


@dataclass(frozen=True, slots=True)
class Members:
    """The images of one split, by path within the dataset's root; `names` is None if there were too many to write."""

    count: int
    digest: str
    names: list[str] | None = field(default=None)

    def brief(self) -> dict[str, Any]:
        return {"count": self.count, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Record:
    """The splits that a run was trained with, below `root`; `folds` holds the settings `FOLDS` if there are folds."""

    root: str
    splits: Mapping[str, Members]
    folds: Mapping[str, Any] | None = None


def record(root: object, datasets: Mapping[str, Dataset], folds: Mapping[str, Any] | None = None) -> Record | None:
    """Return the record of datasets that are read from files, None for others."""
    listed = {split: data.files() for split, data in datasets.items()}
    if any(files is None for files in listed.values()):
        return None
    folder = os.path.abspath(expand(str(root or ".")))
    return Record(folder, {split: _members(files or (), folder) for split, files in listed.items()}, folds)


def write(folder: Path, found: Record) -> None:
    splits = {
        split: {**members.brief(), **({"names": members.names} if members.count <= MOST else {})}
        for split, members in found.splits.items()
    }
    folds = {} if found.folds is None else {"folds": dict(found.folds)}
    write_json(folder / FILE, {"root": found.root, **folds, "splits": splits})


def read(folder: Path) -> Record | None:
    """Return the record of a run, None if it has none. Raises UserError if it is damaged."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        splits = {
            str(split): Members(int(one["count"]), str(one["digest"]), _names(one.get("names")))
            for split, one in data["splits"].items()
        }
        folds = data.get("folds")
        return Record(str(data["root"]), splits, None if folds is None else {key: folds[key] for key in FOLDS})
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__}); remove it to go on without it") from error


def files(run: Path, split: str) -> tuple[Path, list[str]]:
    """Return the root and the names of the images of a run's split."""
    found = read(run)
    if found is None:
        raise UserError(f"split={split}: {run} has no {FILE}, so its splits are unknown; give input=FOLDER")
    split = split_word(split)
    if split not in found.splits:
        raise UserError(f"split={split}: {run / FILE} has {', '.join(found.splits)}; choose one, or give input=FOLDER")
    names = found.splits[split].names
    if not names:
        raise UserError(f"split={split}: {run / FILE} lists no names, there were too many; give input=FOLDER")
    if outside := [name for name in names if os.path.isabs(name) or ".." in Path(name).parts]:
        raise UserError(f"split={split}: {outside[0]} of {run / FILE} is not below {found.root}; give input=FOLDER")
    return Path(found.root), names


def changes(then: Record, now: Record) -> list[str]:
    """Return one sentence per split that differs, and one if images of another split were trained on."""
    out = []
    if now.folds != then.folds and then.folds is not None:
        out.append(f"the run was trained with {_folds(then.folds)}, this is {_folds(now.folds)}")
    for split, members in now.splits.items():
        before = then.splits.get(split)
        if before is not None and before.digest != members.digest:
            out.append(
                f"the {split} split had {many(before.count, 'image')} and has {members.count}{_moves(before, members)}"
            )
    return [*out, *trained_on(then, now)]


def trained_on(then: Record, now: Record) -> list[str]:
    """Return one sentence per split other than train with images that the run was trained on."""
    trained = then.splits.get("train")
    found = []
    for split, members in now.splits.items():
        common = sorted({*(trained.names or ())} & {*(members.names or ())}) if trained is not None else []
        if split != "train" and common:
            found.append(f"{len(common)} of the {members.count} images of {split} were trained on ({few(common)})")
    return found


def few(names: Sequence[str]) -> str:
    return ", ".join(names[:FEW]) + (", ..." if len(names) > FEW else "")


def _folds(folds: Mapping[str, Any] | None) -> str:
    if folds is None:
        return "no folds"
    more = [f"{key}={folds[key]}" for key in ("seed", "group") if folds[key]]
    return f"fold {folds['fold']} of {folds['folds']}" + (f" ({', '.join(more)})" if more else "")


def _moves(before: Members, members: Members) -> str:
    if before.names is None or members.names is None:
        return ""
    old, new = {*before.names}, {*members.names}
    return f" ({len(new - old)} new, {len(old - new)} gone)"


def _members(files: Sequence[Path], folder: str) -> Members:
    names = sorted(_name(file, folder) for file in files)
    return Members(len(names), hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest(), names)


def _name(file: Path, folder: str) -> str:
    path = os.path.abspath(file)
    return path[len(folder) :].lstrip(os.sep) if path.startswith(folder + os.sep) else path


def _names(value: object) -> list[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("names")
    return value
