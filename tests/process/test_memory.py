"""Free memory is what the machine has and the container leaves; freed memory goes back."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from densepred.process import control_group
from densepred.process.memory import free_memory
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(("left", "expected"), [(None, 4096), (2000, 2000), (9999999, 4096), (0, 0)])
def test_free_memory_is_that_of_the_machine_and_of_the_control_groups(
    left: int | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:     4 kB\n")
    monkeypatch.setattr(control_group, "memory_left", lambda: left)
    assert free_memory(meminfo) == expected


def test_a_system_that_does_not_tell_is_none(tmp_path: Path) -> None:
    assert free_memory(tmp_path / "absent") is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\n")
    assert free_memory(tmp_path / "meminfo") is None


KEEPING = """
from pathlib import Path
from densepred.process.memory import give_back

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])

room = [bytes(700) for _ in range(20_000)]  # takes what holes the heap has
blocks = [(b"x" * 50_000, bytes(700)) for _ in range(1000)]
small = [pair[1] for pair in blocks]
del blocks
before = resident()
give_back()
print(before - resident())
"""
"""Small blocks that stay between large ones that are freed, in a heap that has no room elsewhere."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_freed_memory_between_small_blocks_that_stay_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", KEEPING], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 40_000


REPEATED = """
import resource
from densepred.process import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        b"x" * 40_000_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

without = faults()
memory.keep()
faults()
print(without, faults())
"""
"""Large blocks that are filled and freed."""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_kept_memory_is_used_again_without_page_faults() -> None:
    done = subprocess.run([sys.executable, "-c", REPEATED], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    without, kept = map(int, done.stdout.split())
    assert without > 1000  # pages may be large
    assert kept < without / 100
