"""Named semaphores at the end of a command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE

SCRIPT = """
import multiprocessing, os, sys

if __name__ == "__main__":
    from densepred.process import semaphores
    kept = multiprocessing.get_context("spawn").Lock()
    if sys.argv[1] == "unlink":
        semaphores.unlink()
    with kept:
        os._exit(75)
"""


@pytest.mark.parametrize("word", ["unlink", "leave"])
def test_python_tells_of_no_semaphore_that_was_unlinked(word: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(SCRIPT)
    call = [sys.executable, str(tmp_path / "program.py"), word]
    done = subprocess.run(call, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 75
    assert ("leaked semaphore" in done.stderr) == (word == "leave")
