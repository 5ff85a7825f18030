"""Search of the syntax trees for calls that would break the promises of SECURITY.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(path for folder in ("densepred", "scripts") for path in (ROOT / folder).rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "torch.load",
    "torch.save",
    "torch.hub.load",
    "yaml.load",
    "os.system",
}
NETWORK = {"socket", "urllib", "http", "requests", "ftplib"}


PICKLES = {"pickles.py": {"torch.load"}, "bench_checkpoint.py": {"torch.save"}, "plain_loop.py": {"torch.save"}}
"""One module alone opens pickles, by torch's restricted unpickler; two benchmarks write one to compare."""


def nodes(path: Path) -> Iterator[tuple[str, ast.AST]]:
    """Yield the imports, calls and keywords of a file, each with its place."""
    place = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call | ast.keyword):
            yield f"{place}:{node.lineno}", node


def test_nothing_unpickles_or_runs_text() -> None:
    """One module alone downloads, one asks if its host answers, and one if the first process of a run does."""
    opened = {"download.py": NETWORK, "reach.py": NETWORK, "meeting.py": {"socket"}}
    for path in FILES:
        closed = NETWORK - opened.get(path.name, set())
        for place, node in nodes(path):
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & (MODULES | closed), place
            if isinstance(node, ast.ImportFrom):
                first = str(node.module).split(".")[0]
                assert first not in MODULES, place
                assert first not in closed or node.module == "urllib.parse", place  # it parts text alone
            if isinstance(node, ast.Call):
                check_call(node, PICKLES.get(path.name, set()), place)
            if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
                pair = (node.arg, node.value.value)
                assert pair not in {("allow_pickle", True), ("weights_only", False), ("shell", True)}, place


def check_call(node: ast.Call, allowed: set[str], place: str) -> None:
    name = ast.unparse(node.func)
    assert name not in CALLS - allowed, place
    if name in allowed & {"torch.load"}:
        assert ("weights_only", True) in {(k.arg, getattr(k.value, "value", None)) for k in node.keywords}, place
    assert name.split(".")[-1] not in {"instantiate", "unsafe_load", "full_load", "extractall"}, place


def test_the_limit_on_image_sizes_is_lifted_only_where_ours_takes_its_place() -> None:
    lifting = [path.name for path in FILES if re.search(r"MAX_IMAGE_PIXELS\s*=\s*None", path.read_text())]
    assert lifting in ([], ["image_file.py"])


def test_dependencies_start_at_versions_without_known_holes() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for floor in ("torch>=2.10", "hydra-core>=1.3.8", "pillow>=12.3", "omegaconf>=2.3.1"):
        assert floor in text
