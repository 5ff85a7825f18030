"""Processes of a loader do not outlive it."""

from __future__ import annotations

import subprocess
import sys

ORPHAN = """
import multiprocessing, os, signal, time
from densepred.stop import calm_worker

def work(parent):
    while os.getppid() == parent:
        time.sleep(0.01)
    calm_worker(0)
    print("still here", flush=True)

multiprocessing.get_context("fork").Process(target=work, args=(os.getpid(),)).start()
print("started", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_whose_parent_was_killed_before_it_began_ends() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("started\n", "")
