"""Who may import whom, read from the syntax trees. `docs/architecture.md` explains the rules."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "densepred"
FILES = sorted(PACKAGE.rglob("*.py"))

FOUNDATION = ("errors", "types", "contracts", "nn", "distributed", "ops")
COMPONENTS = ("codec", "decoder", "encoder", "loss", "metric", "model", "transform", "upsample")
SINGLE = ("optimizer", "scheduler")
COMMANDS = ("train", "eval", "predict", "import_")
BANNED_NAMES = {"utils", "util", "common", "misc", "core", "helpers", "helper", "base", "lib", "tools", "manager"}
OUTSIDE = {"os", "sys", "io", "pathlib", "subprocess", "shutil", "socket", "urllib", "pickle", "importlib", "ctypes"}
HYDRA = {"command", "complaint", "config", "recorded", "sweep"}
LONGEST = 300


def part(path: Path) -> str:
    """The name right below densepred/: a component group or a module."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, checking: bool = True) -> Iterator[str]:
    """Every module that a file imports; without `checking`, none of those that only annotations need."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree(path)):
        if not checking and isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            skipped |= {inner for statement in node.body for inner in ast.walk(statement)}
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield from (
                [f"densepred.{a.name}" for a in node.names] if node.module == "densepred" else [str(node.module)]
            )


def ours(path: Path, checking: bool = True) -> set[str]:
    """The parts of densepred that a file imports."""
    return {name.split(".")[1] for name in imports(path, checking) if name.startswith("densepred.")} - {part(path)}


def test_the_foundation_imports_only_what_stands_before_it() -> None:
    for path in FILES:
        if part(path) in FOUNDATION:
            allowed = FOUNDATION[: FOUNDATION.index(part(path))]
            if part(path) in ("nn", "distributed", "ops"):
                allowed = ("errors", "types", "contracts", "nn", "distributed")
            assert ours(path) <= set(allowed), f"{path} may import only {allowed}"


def test_components_import_only_the_foundation_never_one_another() -> None:
    for path in FILES:
        if part(path) in COMPONENTS + SINGLE:
            assert ours(path) <= set(FOUNDATION), f"{path} may import only {FOUNDATION}"


def test_datasets_import_no_other_component() -> None:
    for path in FILES:
        if part(path) == "dataset":
            assert not ours(path) & {*COMPONENTS, *SINGLE, *COMMANDS}, path


def test_nobody_imports_a_command() -> None:
    for path in FILES:
        assert not ours(path) & set(COMMANDS), path


def test_imports_make_no_cycle() -> None:
    graph = {part(path): set[str]() for path in FILES}
    for path in FILES:
        graph[part(path)] |= ours(path, checking=False)
    while graph:
        free = [name for name, needs in graph.items() if not needs & graph.keys()]
        assert free, f"a cycle among {sorted(graph)}"
        for name in free:
            del graph[name]


def test_the_trainer_names_no_task_model_dataset_or_loss() -> None:
    path = PACKAGE / "trainer.py"
    assert not ours(path) & {*COMPONENTS, "dataset"}


def test_components_touch_nothing_outside() -> None:
    for path in FILES:
        if part(path) not in COMPONENTS + SINGLE:
            continue
        used = {name.split(".")[0] for name in imports(path)}
        assert not used & OUTSIDE, f"{path} imports {used & OUTSIDE}"
        calls = {ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
        assert not calls & {"open", "torch.load", "eval", "exec", "__import__"}, path


def test_only_the_command_line_reads_a_global_config() -> None:
    for path in FILES:
        names = set(imports(path))
        if part(path) not in HYDRA | set(COMMANDS):
            assert not any(name.startswith("hydra") for name in names), path


def test_init_files_of_components_hold_a_docstring_and_nothing_else() -> None:
    for path in PACKAGE.glob("*/__init__.py"):
        assert ast.get_docstring(tree(path)), path
        assert len(tree(path).body) == 1, path


@pytest.mark.parametrize("folder", ["densepred", "tests", "scripts"])
def test_files_are_short_and_named_by_what_they_hold(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert path.stem not in BANNED_NAMES, path
        assert path.parent.name not in BANNED_NAMES, path
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST, f"{path} has {lines} lines"


def test_the_command_line_answers_without_torch() -> None:
    for path in (PACKAGE / f"{name}.py" for name in COMMANDS):
        seen, waiting = set[str](), {path}
        while waiting:
            file = waiting.pop()
            heavy = {name.split(".")[0] for name in top_level(file)} & {
                "torch",
                "torchvision",
                "timm",
                "numpy",
                "scipy",
            }
            assert not heavy, f"{file} imports {heavy} as {path.name} starts"
            parts = {name.removeprefix("densepred.") for name in top_level(file) if name.startswith("densepred.")}
            waiting |= {PACKAGE / f"{p.replace('.', '/')}.py" for p in parts - seen}
            seen |= parts


def top_level(path: Path) -> Iterator[str]:
    """The modules that are imported as soon as a file is."""
    for node in tree(path).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "densepred":
            yield from (f"densepred.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is new in 3.11")
def test_every_package_is_shipped() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in PACKAGE.rglob("__init__.py")}
    assert set(settings["packages"]) == folders | {"densepred.configs", "hydra_plugins"}
