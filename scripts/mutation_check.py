"""Mutation check: change one sign, comparison or number in a copy of the code and see whether a test fails.

`make test-mutants` draws 60 changes by seed. Each runs against the tests of its module: the mirror file or else
those that import it, the room, and the mirror files of modules that import it. The working tree is only read. Exit
code 1 when too few changes are killed.

    python scripts/mutation_check.py --sample 60 --seed 0 --jobs 2
    python scripts/mutation_check.py --only densepred/ops/score/ssim.py --sample 20
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = (
    "ops",
    "loss",
    "metric",
    "codec",
    "transform",
    "upsample",
    "loader",
    "engine",
    "jobs",
    "results",
    "predictor.py",
)
COPIED = ("densepred", "configs", "hydra_plugins", "tests", "scripts", "docs", "pyproject.toml", "README.md")
SPEED_ONLY = {"CHUNK", "CELLS", "DENSE", "TOGETHER", "BAND", "BLOCK", "TABLE", "ELEMENTS"}
"""Constants that change how much is computed or kept at a time, and no result."""
FLOOR = 0.85
"""The least share of decided changes that tests must kill."""


SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
}
SKIPPED = (ast.Assert, ast.Raise, ast.JoinedStr, ast.ImportFrom, ast.Import)
"""Messages, and checks of our own mistakes."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: `before` in the lines of a file becomes `after`."""

    file: str
    line: int
    span: tuple[int, int]  # bytes of the file
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {' '.join(self.before.split())}  ->  {self.after}"

    def source(self) -> bytes:
        whole = (ROOT / self.file).read_bytes()
        return whole[: self.span[0]] + self.after.encode() + whole[self.span[1] :]


def mutants(path: Path) -> Iterator[Mutant]:
    """Every change of one file that still parses."""
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in _expressions(ast.parse(source)):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        span = (starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset)
        before = source[span[0] : span[1]].decode()
        for changed in _changes(node):
            after = f"({ast.unparse(changed)})" if not isinstance(node, ast.Constant) else ast.unparse(changed)
            yield Mutant(path.relative_to(ROOT).as_posix(), node.lineno, span, before, after)


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that compute: no annotations, no messages, no constants of speed alone."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, SKIPPED) or _speed(child):
                continue
            if isinstance(child, ast.expr):
                yield child
            yield from _expressions(child)


def _speed(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword) and node.arg == "stacklevel":  # the line of code that a notice names
        return True
    return isinstance(node, ast.Assign) and bool(
        {target.id for target in node.targets if isinstance(target, ast.Name)} & SPEED_ONLY
    )


def _changes(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        for kind in SWAPS.get(type(node.op), ()):
            yield ast.BinOp(node.left, kind(), node.right)  # pyright: ignore[reportArgumentType]
        if isinstance(node.op, ast.Add | ast.Sub):  # drop a term
            yield node.left
    elif isinstance(node, ast.BoolOp):
        for kind in SWAPS[type(node.op)]:
            yield ast.BoolOp(kind(), node.values)  # pyright: ignore[reportArgumentType]
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        for kind in SWAPS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [kind()], node.comparators)  # pyright: ignore[reportArgumentType]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        yield ast.Constant(node.value + 1)
        if node.value:
            yield ast.Constant(-node.value if isinstance(node.value, float) else node.value - 1)


@cache
def importers(folder: str = "densepred") -> dict[str, set[str]]:
    """Return the files of a folder that import each module."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom):
                names = {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
                for name in names:
                    found.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return found


def tests_of(file: str) -> list[str]:
    """Test files and folders of a module, nearest first; empty when it has none."""
    module = file.removesuffix(".py").replace("/", ".")
    room = Path("tests", *Path(file).parts[1:-1])
    own = _mirrors(file) or sorted(importers("tests").get(module, ()))  # such as the tests of a command, in its room
    chosen = own + ([room.as_posix()] if room != Path("tests") and (ROOT / room).is_dir() else [])
    chosen += [test for user in sorted(importers().get(module, ())) for test in _mirrors(user)]
    return list(dict.fromkeys(chosen))


def _mirrors(file: str) -> list[str]:
    folder = Path("tests", *Path(file).parts[1:-1])
    exact = [ROOT / folder / f"test_{Path(file).stem}.py", *(ROOT / folder).glob(f"test_{Path(file).stem}_*.py")]
    return [path.relative_to(ROOT).as_posix() for path in exact if path.is_file()]


def copy_tree(to: Path) -> Path:
    to.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, to / name)
    return to


def start(tree: Path, tests: list[str]) -> int:
    """Process id of pytest in a fork of this process, which has torch loaded already."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        code = _child(tree, tests)
    finally:
        os._exit(code)


def ended(child: int, limit: float) -> str | None:
    """The result of a process, or None while it runs; it is stopped once `limit` on the clock has passed."""
    done, status = os.waitpid(child, os.WNOHANG)
    if done:
        return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
    if time.monotonic() < limit:
        return None
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _child(tree: Path, tests: list[str]) -> int:
    import pytest

    log = os.open(tree / "pytest.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(tree)
    sys.dont_write_bytecode = True  # two changes within one second could share a compiled file
    sys.path[:0] = [str(tree)]
    import densepred

    assert Path(str(densepred.__file__)).is_relative_to(tree), densepred.__file__
    return int(pytest.main(["-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]))


def drawn(sample: int, seed: int, only: list[str]) -> list[Mutant]:
    folders = [ROOT / name for name in only] or [ROOT / "densepred" / name for name in ROOMS]
    files = sorted({file for place in folders for file in ([place] if place.is_file() else place.rglob("*.py"))})
    every = [mutant for file in files for mutant in mutants(file)]
    print(f"{len(every)} possible changes in {len(files)} files; seed {seed}", flush=True)
    return random.Random(seed).sample(every, min(sample, len(every)))


def unchanged(chosen: list[Mutant], tree: Path, seconds: float) -> None:
    """Stop when tests fail without any change: nothing would follow from a failure with one."""
    tests = sorted({test for mutant in chosen for test in tests_of(mutant.file)})
    child, limit = start(tree, tests), time.monotonic() + seconds
    while (result := ended(child, limit)) is None:
        time.sleep(0.05)
    if result != "survived":
        sys.exit(f"{(tree / 'pytest.log').read_text()[-3000:]}\n{result}: the tests must pass without a change first")


def results(chosen: list[Mutant], trees: list[Path], seconds: float) -> Iterator[tuple[Mutant, str, float]]:
    """Each change, its result and the seconds that it took, as they end; one change at a time in each tree."""
    waiting, free, running = list(reversed(chosen)), list(trees), dict[int, tuple[Mutant, Path, float]]()
    while waiting or running:
        while waiting and free:
            mutant, tree = waiting.pop(), free.pop()
            (tree / mutant.file).write_bytes(mutant.source())
            running[start(tree, tests_of(mutant.file))] = mutant, tree, time.monotonic()
        for child, (mutant, tree, begun) in list(running.items()):
            if (result := ended(child, begun + seconds)) is not None:
                shutil.copy(ROOT / mutant.file, tree / mutant.file)
                del running[child]
                free.append(tree)
                yield mutant, result, time.monotonic() - begun
        time.sleep(0.05)


def check(sample: int, seed: int, jobs: int, seconds: float, floor: float, only: list[str]) -> int:
    chosen, found = drawn(sample, seed, only), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        trees = [copy_tree(Path(folder).resolve() / str(number)) for number in range(jobs)]
        unchanged(chosen, trees[0], seconds * len(chosen))
        for mutant, result, taken in results(chosen, trees, seconds):
            found[result] += 1
            print(f"{found.total():3d}/{len(chosen)} {result:8s} {taken:4.0f} s  {mutant}", flush=True)
    decided = found["killed"] + found["survived"]
    share = found["killed"] / decided if decided else 1.0
    print(", ".join(f"{found[name]} {name}" for name in ("killed", "survived", "timeout")), end="; ")
    print(f"{share:.0%} of the decided killed, at least {floor:.0%} asked for")
    return int(share < floor)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=60, help="number of changes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="tests that run at a time")
    parser.add_argument("--seconds", type=float, default=300, help="time for the tests of one change")
    parser.add_argument("--floor", type=float, default=FLOOR, help="least share of killed changes, 0 to 1")
    parser.add_argument("--only", nargs="*", default=[], help="files or folders to change, in place of the usual rooms")
    os.environ["OMP_NUM_THREADS"] = "1"
    import scipy.ndimage  # noqa: F401 - loaded once, before processes are forked
    import torch

    if not torch.cuda.is_available():  # before torchvision imports Triton, which reads it then
        os.environ.setdefault("TRITON_INTERPRET", "1")
    import torchvision  # noqa: F401

    torch.set_num_threads(1)
    return check(**vars(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
