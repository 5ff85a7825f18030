"""A process stops with its parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import PATIENCE, REPOSITORY

CHILD = """
import os, signal, sys, time
from densepred.process import parent
from densepred.process.stop import StopFlag
parent.EVERY = 0.05
with StopFlag() as stop:
    {env}
    parent.stop_with_parent(grace={grace})
    print(os.getpid(), flush=True)
    while not stop.raised or {stubborn}:
        time.sleep(0.02)
open("saved", "w").close()
"""
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "child.py"], stdout=subprocess.PIPE)
child.stdout.readline()
"""


def orphan(folder: Path, stubborn: bool = False, grace: float = 60, env: str = "pass") -> None:
    """Run a parent that ends while its child works; return when the child has ended too: it holds the pipe."""
    (folder / "child.py").write_text(CHILD.format(grace=grace, stubborn=stubborn, env=env))
    words = [sys.executable, "-c", PARENT]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(words, cwd=folder, env=environment, stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_child_saves_and_ends_when_its_parent_ends(tmp_path: Path) -> None:
    orphan(tmp_path)
    assert (tmp_path / "saved").exists()


def test_a_child_that_does_not_stop_is_ended(tmp_path: Path) -> None:
    orphan(tmp_path, stubborn=True, grace=0.1)
    assert not (tmp_path / "saved").exists()


def test_a_parent_that_ended_before_it_was_watched_is_noticed(tmp_path: Path) -> None:
    """The launcher passes its id on: the child of a parent that is gone has another."""
    orphan(tmp_path, env="os.environ[parent.PARENT] = '999999999'")
    assert (tmp_path / "saved").exists()
