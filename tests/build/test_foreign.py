"""Modules of the user that fail, end the process, or take long while they are imported."""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path

import pytest

from densepred.build import allowlist, foreign
from densepred.build.instantiate import find
from densepred.errors import UserError
from densepred.process import supervisor


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import sys; sys.exit(0)", "it calls exit, with code 0"),
        ("class Odd(BaseException): ...\nraise Odd('gone')", "Odd: gone"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_module_that_ends_the_process_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, why: str
) -> None:
    (tmp_path / "ending.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=rf"^model\._target_: ending\.Net: its module cannot be imported \({why}\)"):
        find("ending.Net", "model._target_")
    with pytest.raises(UserError, match=rf"^model\._target_: ending\.Net: its module cannot be imported \({why}\)"):
        allowlist.check({"_target_": "ending.Net"}, "model", ("ending",))


def test_an_import_that_takes_long_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nfrom densepred.process import supervisor\n"
        "time.sleep(0.2)\nclass Net:\n    told = supervisor.sentence('it hangs')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(foreign, "SLOW", 0.01)
    supervisor.go_on("resume")
    net = find("slow.Net", "model._target_")
    assert getattr(net, "told", "").endswith("; model._target_: slow.Net was being imported")
    assert supervisor.sentence("it hangs").endswith("; resume")
    assert "warning: model._target_: slow.Net: its module is still being imported after 0.01" in capfd.readouterr().err
    supervisor.go_on("")


def test_a_module_that_crashes_shows_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crashing.py").write_text("import ctypes\nctypes.string_at(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    if (pid := os.fork()) == 0:
        faulthandler.disable()  # pytest's own
        os.dup2(os.open(tmp_path / "err", os.O_CREAT | os.O_WRONLY), 2)
        find("crashing.Net", "a")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGSEGV
    told = (tmp_path / "err").read_text()
    assert "Segmentation fault" in told
    assert "crashing.py" in told
