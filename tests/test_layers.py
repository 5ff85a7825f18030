"""The order of imports, read from the syntax trees. `docs/architecture.md` explains the rules."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "densepred"
FILES = sorted(PACKAGE.rglob("*.py"))

COMPONENTS = ("codec", "dataset", "decoder", "encoder", "logger", "loss", "metric", "model", "transform", "upsample")
COMMANDS = ("train", "eval", "predict", "commands")
FLOORS = (
    ("errors",),
    ("atomic", "settings", "output"),
    ("process",),
    ("types", "home", "distributed"),
    ("contracts", "nn", "scheduler", "optimizer"),
    ("build", "hub", "loader", "ops"),
    ("encoder",),
    ("codec", "dataset", "decoder", "logger", "loss", "metric", "model", "transform", "upsample", "draw", "task"),
    ("weights",),
    ("rundir",),
    ("engine", "sweep"),
    ("cli",),
    ("exporting", "reporting"),
    ("predictor",),
    ("results",),
    ("jobs", "predict"),
    ("train", "eval"),
    ("inspection", "conversion"),
    ("commands", "api"),
    ("__init__",),  # it takes signals before a command imports anything else
)
"""Rooms and single modules of densepred, from the ground up: each imports only what stands on a floor below its own.

docs/architecture.md draws the same floors, from the top down.
"""
HEIGHT = {name: height for height, floor in enumerate(FLOORS) for name in floor}
FOUNDATION = {"errors", "types", "contracts", "nn", "distributed", "home", "ops", "hub"}
LOOSE = 18
"""The most modules that may stand at the top level of the package."""
BANNED_NAMES = {"utils", "util", "common", "misc", "core", "helpers", "helper", "base", "lib", "tools", "manager"}
OUTSIDE = {"os", "sys", "io", "pathlib", "subprocess", "shutil", "socket", "urllib", "pickle", "importlib", "ctypes"}
LONGEST = 300
LONGEST_READER = 80
READERS = (
    *("cvat", "darwin", "imagej", "label_studio", "labelme", "qupath", "supervisely", "via", "voc_detection", "yolo"),
    *("ade20k", "deeplabcut", "hovernet", "mapillary", "oxford_pets", "pannuke", "pascal_context"),
)
"""Datasets of annotation programs and of published archives, each a reader on what its room shares."""


def part(path: Path) -> str:
    """The name right below densepred/: a component group or a module."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, those that only annotations need among them."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield from (
                [f"densepred.{a.name}" for a in node.names] if node.module == "densepred" else [str(node.module)]
            )


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def targets(path: Path) -> set[str]:
    """The modules of densepred that a file imports, whichever way it writes them."""
    found = set[str]()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "densepred":
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if is_module(name) else str(node.module) for name in names}
    return found - {"densepred"}


@cache
def is_module(name: str) -> bool:
    place = ROOT / name.replace(".", "/")
    return place.is_dir() or place.with_suffix(".py").is_file()


def ours(path: Path) -> set[str]:
    """The rooms and single modules of densepred that a file imports, its own apart."""
    return {name.split(".")[1] for name in targets(path)} - {part(path)}


def test_every_room_has_a_floor() -> None:
    assert {part(path) for path in FILES} == set(HEIGHT)


def test_imports_only_go_down() -> None:
    """Imports that only annotations need count too."""
    up = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in FILES
        for name in sorted(ours(path))
        if HEIGHT[name] >= HEIGHT[part(path)]
    ]
    assert not up


def test_modules_of_a_room_make_no_circle() -> None:
    modules = {module(path): path for path in FILES}
    graph = {name: {target for target in targets(path) if target in modules} for name, path in modules.items()}
    while graph:
        free = [name for name, needs in graph.items() if not needs & graph.keys()]
        assert free, f"a circle among {sorted(graph)}"
        for name in free:
            del graph[name]


def test_rooms_below_ops_make_no_circle() -> None:
    rooms = {path.parent.name: set[str]() for path in FILES if part(path) == "ops" and path.parent.name != "ops"}
    for path in FILES:
        if path.parent.name in rooms and part(path) == "ops":
            names = {target.split(".")[2] for target in targets(path) if target.startswith("densepred.ops.")}
            rooms[path.parent.name] |= names - {path.parent.name}
    while rooms:
        free = [name for name, needs in rooms.items() if not needs & rooms.keys()]
        assert free, f"a circle among {sorted(rooms)}"
        for name in free:
            del rooms[name]


def test_components_import_only_the_foundation_never_one_another() -> None:
    for path in FILES:
        if part(path) in COMPONENTS:
            assert ours(path) <= FOUNDATION, f"{path} may import only {sorted(FOUNDATION)}"


def test_few_modules_stand_loose_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= LOOSE


def test_every_module_of_ops_has_its_test() -> None:
    for path in (PACKAGE / "ops").rglob("*.py"):
        if path.stem != "__init__":
            mirror = ROOT / "tests" / path.relative_to(PACKAGE).with_name(f"test_{path.name}")
            assert mirror.is_file(), f"{mirror.relative_to(ROOT)} is missing"


def test_tests_stand_where_the_code_stands() -> None:
    """A folder of tests is named after a room, or holds tests of no single room."""
    rooms = {path.parent.relative_to(PACKAGE) for path in FILES}
    others = {Path(name) for name in ("contracts", "fuzz", "golden", "gpu", "program", "reference")}
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert path.parent.relative_to(ROOT / "tests") in rooms | others, path


def test_the_training_loop_names_no_component() -> None:
    assert not ours(PACKAGE / "engine" / "trainer.py") & set(COMPONENTS)


def test_components_touch_nothing_outside() -> None:
    for path in FILES:
        if part(path) not in {*COMPONENTS, "optimizer", "scheduler"} - {"dataset", "logger"}:
            continue
        used = {name.split(".")[0] for name in imports(path)}
        assert not used & OUTSIDE, f"{path} imports {used & OUTSIDE}"
        calls = {ast.unparse(node.func) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)}
        assert not calls & {"open", "torch.load", "eval", "exec", "__import__"}, path


def test_only_the_command_line_imports_hydra() -> None:
    for path in FILES:
        names = set(imports(path))
        if part(path) not in {"cli", "sweep", *COMMANDS}:
            assert not any(name.startswith("hydra") for name in names), path


def test_init_files_of_rooms_hold_a_docstring_and_nothing_else() -> None:
    for path in PACKAGE.glob("*/**/__init__.py"):
        assert ast.get_docstring(tree(path)), path
        assert len(tree(path).body) == 1, path


@pytest.mark.parametrize("folder", ["densepred", "tests", "scripts"])
def test_files_are_short_and_named_by_what_they_hold(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        assert path.stem not in BANNED_NAMES, path
        assert path.parent.name not in BANNED_NAMES, path
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= LONGEST, f"{path} has {lines} lines"


@pytest.mark.parametrize("name", READERS)
def test_readers_stay_short(name: str) -> None:
    path = PACKAGE / "dataset" / f"{name}.py"
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST_READER, f"{path} has {lines} lines: move what other readers need to a module of its own"


def test_the_command_line_starts_without_torch() -> None:
    modules = [path for path in FILES if part(path) in COMMANDS and path.stem != "__init__"]
    assert len(modules) == 8
    for path in modules:
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
            started = {name for name in top_level(file) if name.startswith("densepred.")}
            waiting |= {path for name in started - seen if (path := ROOT / f"{name.replace('.', '/')}.py").is_file()}
            seen |= started


def test_modules_that_need_torchvision_or_timm_say_so_here() -> None:
    """torchvision imports torch's compiler: a second, before a step that needs neither."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if {name.split(".")[0] for name in top_level(path)} & {"torchvision", "timm"}
        or "torch._dynamo" in set(top_level(path))
    }
    assert found == {
        "encoder/mobilenet_v3.py",
        "encoder/timm.py",
        "inspection/objects.py",
        "transform/jpeg.py",
    }


def top_level(path: Path) -> Iterator[str]:
    """The modules that are imported as soon as a file is."""
    for node in tree(path).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (name for alias in node.names if is_module(name := f"{node.module}.{alias.name}"))
            yield str(node.module)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib is new in 3.11")
def test_every_package_is_shipped() -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {path.parent.relative_to(ROOT).as_posix().replace("/", ".") for path in PACKAGE.rglob("__init__.py")}
    assert set(settings["packages"]) == folders | {"densepred.configs", "hydra_plugins"}


def test_the_architecture_draws_these_floors_and_explains_each_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = [re.split(r"\s{3,}", line)[0].split() for line in page.split("```")[1].strip().splitlines()]
    assert [sorted(floor) for floor in reversed(drawn)] == [sorted(floor) for floor in FLOORS]
    shown = {name for row in re.findall(r"^\| (.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)/", row)}
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    groups = {path.name for path in (ROOT / "configs").iterdir()}  # docs/options.md explains these
    assert rooms - groups <= shown


def test_timm_is_imported_with_its_encoders_alone() -> None:
    """It takes as long to import as a tenth of a command's start, so other files import it where they need it."""
    found = [
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if any(isinstance(node, ast.Import | ast.ImportFrom) and "timm" in names(node) for node in tree(path).body)
    ]
    assert found == ["encoder/timm.py"]


def names(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Return the packages that a statement imports from."""
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [str(node.module)]
    return {name.split(".")[0] for name in modules}
