"""Lines of ratios against a stored table, and a benchmark that fails."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "bench_all.py"


def script() -> ModuleType:
    """Load the script as a module."""
    spec = importlib.util.spec_from_file_location("bench_all", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the script with a folder of one benchmark and a table."""
    module = script()
    (tmp_path / "one.py").write_text("import sys; print('ratio maps K=19 / other', sys.argv[1])")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "TABLE", tmp_path / "ratios.json")
    monkeypatch.setattr(module, "BENCHMARKS", (("one.py", "0.2500"),))
    monkeypatch.setattr(module, "limits", lambda: "limits")
    monkeypatch.setattr(sys, "argv", ["bench_all.py"])
    return module


@pytest.mark.parametrize(("stored", "code"), [(0.25, 0), (0.13, 0), (0.12, 1)])
def test_a_ratio_above_twice_its_entry_is_an_error(bench: ModuleType, stored: float, code: int) -> None:
    bench.TABLE.write_text(json.dumps({"maps K=19 / other": stored}))
    assert bench.main() == code


def test_a_benchmark_that_fails_is_named_and_an_error(
    bench: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.py").write_text("raise SystemExit(3)")
    assert bench.main() == 1
    assert "error: one.py" in capsys.readouterr().err


def test_the_table_is_written_and_keeps_other_entries(bench: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.TABLE.write_text(json.dumps({"other": 1.0}))
    monkeypatch.setattr(sys, "argv", ["bench_all.py", "--store"])
    assert bench.main() == 0
    assert json.loads(bench.TABLE.read_text()) == {"other": 1.0, "maps K=19 / other": 0.25}


def test_a_benchmark_without_its_folder_is_named(bench: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    bench.TABLE.write_text("{}")
    assert bench.main() == 0
    assert "bench_quality.py is left out: give --camvid DIR" in capsys.readouterr().out


def test_every_benchmark_of_the_list_prints_ratios() -> None:
    bench = script()
    for name, *_ in [*bench.BENCHMARKS, *bench.GIVEN.values()]:
        assert "report(" in (SCRIPT.parent / name).read_text(encoding="utf-8"), name
