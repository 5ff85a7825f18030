"""The installed package equals the repository and works from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, REPOSITORY

SHIPPED = ("densepred", "configs", "hydra_plugins")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with densepred installed into it, from a copy, so that no old build is packed."""
    source, target = tmp_path_factory.mktemp("source") / "copy", tmp_path_factory.mktemp("target")
    source.mkdir()
    for name in SHIPPED:
        shutil.copytree(REPOSITORY / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "README.md").touch()
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    words = ["install", str(source), "--no-deps", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True, timeout=PATIENCE)
    return target


@pytest.mark.slow
def test_every_module_and_config_is_installed(installed: Path) -> None:
    for name in SHIPPED:
        for path in (REPOSITORY / name).rglob("*"):
            if path.suffix in (".py", ".yaml"):
                place = "densepred/configs" if name == "configs" else name
                assert (installed / place / path.relative_to(REPOSITORY / name)).is_file(), path


@pytest.mark.slow
def test_an_installed_command_composes_and_sweeps_from_any_folder(installed: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(installed)}
    program = [sys.executable, "-m", "densepred.train"]
    shown = subprocess.run([*program, "--cfg", "job"], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert "max_steps: null" in shown.stdout, shown.stderr
    swept = subprocess.run(
        [*program, "--multirun", "seed=1,2", "task.codec=null"], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert swept.returncode == 2
    assert "error: 2 of 2 jobs failed" in swept.stderr
