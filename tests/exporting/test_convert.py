"""onnxruntime reports nothing to its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from densepred.exporting import convert
from tests.conftest import REPOSITORY

SILENT = "ORT_DISABLE_TELEMETRY"


@pytest.mark.parametrize("given", [None, "0"])
def test_onnxruntime_reports_nothing_unless_the_user_wants_it(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SILENT, raising=False)
    if given is not None:
        monkeypatch.setenv(SILENT, given)
    monkeypatch.setattr(convert.importlib, "import_module", lambda name: os.environ[SILENT])
    assert convert.require("onnxruntime") == (given or "1")


@pytest.mark.slow
def test_onnxruntime_leaves_no_file_in_the_home_folder(tmp_path: Path) -> None:
    text = "from densepred.exporting.convert import require; require('onnxruntime').get_available_providers()"
    environment = {name: value for name, value in os.environ.items() if name != SILENT} | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", text], env=environment, cwd=REPOSITORY, check=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))
