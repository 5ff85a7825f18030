"""Free memory is what the machine has and the container leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.process.memory import free_memory


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, 4096), ("max", 4096), ("3000", 2000), ("9999999", 4096), ("500", 0)]
)
def test_free_memory_is_that_of_the_machine_and_of_the_control_group(
    limit: str | None, expected: int, tmp_path: Path
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:     4 kB\n")
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("1000\n")
    assert free_memory(meminfo, tmp_path) == expected


def test_a_system_that_does_not_tell_is_none(tmp_path: Path) -> None:
    assert free_memory(tmp_path / "absent", tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\n")
    assert free_memory(tmp_path / "meminfo", tmp_path) is None
