"""Names of code in prose, such as `ops.boxes.edges.clip` or `engine/trainer.py`: those that lead nowhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "densepred"
ROOMS = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith("__")}
KEYS = {path.stem for path in (REPOSITORY / "configs").iterdir()} | {
    "codec",
    "weights",
    "sweep",
    "train",
    "eval",
    "predict",
}
"""Rooms with the name of a group of settings: `decoder.width` is a key, `decoder.fpn.FPN` is code."""
NAMESAKES = {"nn": torch.nn, "distributed": torch.distributed, "optimizer": torch.optim.Optimizer}
DOTTED = re.compile(rf"`(?:densepred\.)?((?:{'|'.join(sorted(ROOMS))})(?:\.\w+)+)(?:\([^`]*\))?`")
PATHS = re.compile(rf"`((?:densepred/)?(?:{'|'.join(sorted(ROOMS))})/[\w/]+\.py)`")


def dead(path: Path) -> Iterator[str]:
    """Yield `line: name` for each name between backticks that begins with a room of densepred and does not exist."""
    text = path.read_text(encoding="utf-8")
    for pattern, exists in ((DOTTED, resolves), (PATHS, is_file)):
        for found in pattern.finditer(text):
            if not exists(found[1]):
                yield f"{text.count(chr(10), 0, found.start()) + 1}: {found[1]}"


def is_file(name: str) -> bool:
    return (PACKAGE / name.removeprefix("densepred/")).is_file()


def resolves(name: str) -> bool:
    """Tell if a dotted name is a module, something in it, or no code: a key, a file, something of torch."""
    parts = name.split(".")
    place, depth = PACKAGE, 0
    while depth < len(parts) and (place / parts[depth]).is_dir():
        place, depth = place / parts[depth], depth + 1
    file = place / f"{parts[min(depth, len(parts) - 1)]}.py"
    if depth == len(parts) or parts[1] in ("py", "json", "log"):
        return True
    if not file.is_file():
        return parts[0] in KEYS
    rest = parts[depth + 1 :]
    if not rest or (depth == 0 and hasattr(NAMESAKES.get(parts[0]), rest[0])):
        return True
    names = members(file)
    return (rest[0] in names and (len(rest) == 1 or rest[1] in names[rest[0]])) or (depth == 0 and parts[0] in KEYS)


@cache
def members(file: Path) -> dict[str, set[str]]:
    """Return the names at the top level of a module, each with those of its class body and its `self.` attributes."""
    found = dict[str, set[str]]()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        for name in named(node):
            found[name] = {inner for part in ast.walk(node) for inner in (*named(part), *attribute(part))}
    return found


def named(node: ast.AST) -> list[str]:
    """Return the names that a statement defines or imports."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def attribute(node: ast.AST) -> list[str]:
    """Return the attribute of `self` that an expression stores."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
        return [node.attr] if node.value.id == "self" else []
    return []
