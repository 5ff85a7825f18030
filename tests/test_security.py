"""Search of the syntax trees for calls that would break the promises of SECURITY.md."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

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


@pytest.fixture(params=FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def tree(request: pytest.FixtureRequest) -> ast.Module:
    return ast.parse(request.param.read_text(encoding="utf-8"))


@pytest.fixture
def allowed(request: pytest.FixtureRequest) -> set[str]:
    """Check that one module alone opens pickles, by torch's restricted unpickler; a benchmark writes one to compare."""
    place = {"pickles.py": {"torch.load"}, "bench_checkpoint.py": {"torch.save"}}
    return place.get(request.node.callspec.params["tree"].name, set())


@pytest.fixture
def closed(request: pytest.FixtureRequest) -> set[str]:
    """Check that one module alone reaches the network."""
    return set() if request.node.callspec.params["tree"].name == "download.py" else NETWORK


def test_nothing_unpickles_or_runs_text(tree: ast.Module, allowed: set[str], closed: set[str]) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & (MODULES | closed)
        if isinstance(node, ast.ImportFrom):
            reaches = str(node.module).split(".")[0] in closed and node.module != "urllib.parse"  # it parts text alone
            assert not reaches
            assert str(node.module).split(".")[0] not in MODULES
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name not in CALLS - allowed
            if name in allowed & {"torch.load"}:
                assert ("weights_only", True) in {(k.arg, getattr(k.value, "value", None)) for k in node.keywords}
            assert name.split(".")[-1] not in {"instantiate", "unsafe_load", "full_load", "extractall"}


def test_no_dangerous_keyword_is_set(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            pair = (node.arg, node.value.value)
            assert pair not in {("allow_pickle", True), ("weights_only", False), ("shell", True)}


def test_the_limit_on_image_sizes_is_lifted_only_where_ours_takes_its_place() -> None:
    lifting = [path.name for path in FILES if re.search(r"MAX_IMAGE_PIXELS\s*=\s*None", path.read_text())]
    assert lifting in ([], ["image_file.py"])


def test_dependencies_start_at_versions_without_known_holes() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for floor in ("torch>=2.10", "hydra-core>=1.3.8", "pillow>=12.3", "omegaconf>=2.3.1"):
        assert floor in text
