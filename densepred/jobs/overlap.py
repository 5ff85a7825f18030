"""Images that stand in two splits: refused before a run, because scores on training images tell nothing."""

from __future__ import annotations

import filecmp
import os
import warnings
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

from densepred.contracts import Dataset
from densepred.errors import Notice, UserError
from densepred.jobs import parts
from densepred.rundir import splits

START = 4096  # bytes
FRACTIONS = "'dataset.splits={train: 0.8, valid: 0.2}'"


def check(one: str, first: Dataset, other: str, second: Dataset, allowed: bool) -> None:
    """Raise UserError if two splits share image files, or tell so if `allowed`. Links lead to the same file."""
    files, others = first.files(), second.files()
    if files is None or others is None:
        return
    known = {identity(file): file for file in files}
    common = [(known[key], file) for file in others if (key := identity(file)) in known]
    if not common:
        _tell_copies(one, files, other, others)
        return
    pairs = [str(a) if a == b else f"{a} = {b}" for a, b in common]
    fact = f"{len(common)} of the {len(others)} images of {other} are also in {one} ({splits.few(pairs)})"
    if allowed:
        warnings.warn(f"{fact}; scores on {other} tell how well the model remembers", Notice, stacklevel=2)
        return
    divide = f"to divide one set of images at random, type {FRACTIONS}" if len(common) == len(others) else "move them"
    raise UserError(
        f"dataset.splits: {fact}; {divide}; give each split images of its own, "
        "or data.allow_overlap=true if you mean it"
    )


def _tell_copies(one: str, files: Sequence[Path], other: str, others: Sequence[Path]) -> None:
    """Issue a notice about images of one split that are copies, byte by byte, of images of the other."""
    known: dict[tuple[int, bytes], Path] = {}
    for file in files:
        if (start := _start(file)) is not None:
            known.setdefault(start, file)
    alike = [(known[start], file) for file in others if (start := _start(file)) is not None and start in known]
    copies = [f"{a} = {b}" for a, b in alike if filecmp.cmp(a, b, shallow=False)]
    if copies:
        text = (
            f"{len(copies)} of the {len(others)} images of {other} are copies of images of {one} ({splits.few(copies)})"
        )
        warnings.warn(f"{text}, so scores on {other} are too high; remove them from one split", Notice, stacklevel=3)


def _start(file: Path) -> tuple[int, bytes] | None:
    """Return the length of a file and its first bytes, which tell nearly all files apart; None if it cannot be read."""
    try:
        with file.open("rb") as opened:
            return os.fstat(opened.fileno()).st_size, opened.read(START)
    except OSError:
        return None


def check_test(node: Mapping[str, Any], data: Dataset, allowed: bool) -> None:
    """Compare test images with the images of training and validation, where these can be found."""
    _refuse_valid_as_test(node, allowed)
    for split in ("valid", "train"):
        try:
            other = parts.dataset(dict(node), split)
        except UserError:  # test images may come alone
            continue
        check(split, other, "test", data, allowed)


def _refuse_valid_as_test(node: Mapping[str, Any], allowed: bool) -> None:
    """Raise UserError if `test` names the images of `valid`, as in trees without public labels of the test images."""
    places = node.get("splits")
    if allowed or not isinstance(places, Mapping) or "test" not in places or node.get("folds") is not None:
        return
    name = places["test"]
    if isinstance(name, float) or name != places.get("valid", places.get("val")) or _apart(node):
        return
    shown = name if isinstance(name, str) else ", ".join(map(str, name))
    raise UserError(
        f"dataset.split=test: dataset.splits gives test the images of valid ({shown}), because the labels of the "
        "official test sets of VOC, Cityscapes and MPII are not public; type dataset.split=valid, or "
        "dataset.splits.test=NAME for test images with labels"
    )


def _apart(node: Mapping[str, Any]) -> bool:
    """Look for a list with a column of splits, which names them by itself."""
    return node.get("list") is not None


def identity(file: Path) -> Hashable:
    """Return what two paths to one file have in common; the path itself if there is no file."""
    try:
        found = os.stat(file)
    except OSError:
        return os.path.abspath(file)
    return (found.st_dev, found.st_ino) if found.st_ino else os.path.realpath(file)
