"""The lock of a run folder: one owner, whoever starts when, and a stale lock is taken over."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from densepred.errors import UserError
from densepred.process import control_group
from densepred.rundir import lock, provenance
from densepred.rundir.lock import FILE, Lock, this_process
from tests import forked, running


def write(folder: Path, owner: lock.Owner) -> None:
    (folder / FILE).write_text(json.dumps(asdict(owner)))


def in_child(act: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        except UserError:
            code = 2
        finally:
            os._exit(code)
    return child


def code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    with Lock(tmp_path):
        assert json.loads((tmp_path / FILE).read_text())["pid"] == os.getpid()
    assert not os.listdir(tmp_path)


@pytest.mark.slow
def test_of_processes_that_start_at_once_one_runs_and_the_others_are_refused(tmp_path: Path) -> None:
    for trial in range(20):
        folder = tmp_path / str(trial)
        folder.mkdir()
        if trial % 2:  # a stale lock lies there, which one of them takes over
            write(folder, replace(this_process(), pid=os.getpid(), started="1"))
        go, ready = os.pipe(), os.pipe()

        def act(folder: Path = folder, go: tuple[int, int] = go, ready: tuple[int, int] = ready) -> None:
            os.close(go[1])
            os.read(go[0], 1)
            try:
                with Lock(folder, say=lambda text: None):
                    os.write(ready[1], b"+")
                    signal.pause()  # held until all have tried
            except UserError:
                os.write(ready[1], b"-")
                raise

        children = [in_child(act) for _ in range(3)]
        os.close(go[0])
        os.close(go[1])
        answers = b"".join(os.read(ready[0], 1) for _ in children)
        for child in children:
            os.kill(child, signal.SIGKILL)
        ends = sorted(code(child) for child in children)
        os.close(ready[0])
        os.close(ready[1])
        assert sorted(answers) == sorted(b"+--"), trial
        assert set(ends) <= {-9, 2}, trial


def test_the_refusal_names_host_process_and_remedy(tmp_path: Path) -> None:
    with Lock(tmp_path):
        owner = f"process {os.getpid()} on {os.uname().nodename}, since"
        with pytest.raises(UserError, match=rf"in use by {owner}.*wait for its end or stop it.*remove .*{FILE}"):
            Lock(tmp_path).__enter__()
        assert os.listdir(tmp_path) == [FILE]


@pytest.mark.parametrize("started", ["1", None], ids=["number given to another process", "ended"])
def test_the_lock_of_a_process_that_ended_is_taken_over_with_a_line(tmp_path: Path, started: str | None) -> None:
    child = in_child(lambda: Lock(tmp_path).__enter__() and os._exit(0))
    code(child)
    if started is not None:
        write(tmp_path, replace(this_process(), started=started))
    lines: list[str] = []
    with Lock(tmp_path, lines.append):
        assert json.loads((tmp_path / FILE).read_text())["started"] == this_process().started
    assert len(lines) == 1
    assert "taken over" in lines[0]


def test_the_lock_of_another_host_counts_while_it_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LOOK", 0.02)
    monkeypatch.setattr(lock, "PATIENCE", 60.0)  # ends at the first beat
    write(tmp_path, replace(this_process(), host="other", place="other"))
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.02):
            os.utime(tmp_path / FILE)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(UserError, match="in use by process"):
            Lock(tmp_path, lambda text: None).__enter__()
    finally:
        ended.set()
        thread.join()
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    lines: list[str] = []
    with Lock(tmp_path, lines.append):
        pass
    assert ["waiting up to" in lines[0], "taken over" in lines[1]] == [True, True]


def test_a_lock_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with Lock(tmp_path):
        os.utime(tmp_path / FILE, (1, 1))
        for _ in range(500):
            if os.stat(tmp_path / FILE).st_mtime > 1:
                return
            threading.Event().wait(0.01)
    pytest.fail("no beat")


def test_a_file_system_without_links_has_locks_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*names: object) -> None:
        raise PermissionError(1, "no links")

    monkeypatch.setattr(os, "link", refuse)
    with Lock(tmp_path), pytest.raises(UserError, match="in use by"):
        Lock(tmp_path).__enter__()
    assert not os.listdir(tmp_path)


def test_an_owner_that_was_taken_over_stops_before_it_writes(tmp_path: Path) -> None:
    with Lock(tmp_path) as held:
        (tmp_path / FILE).unlink()
        held.require()  # somebody removed it by hand: it is made again
        assert (tmp_path / FILE).is_file()
        write(tmp_path, replace(this_process(), pid=7))
        with pytest.raises(UserError, match=r"taken over by process 7 on .*wait for the end of the other"):
            held.require()
    assert (tmp_path / FILE).is_file()  # of the other


def test_a_run_in_use_is_not_resumed(tmp_path: Path) -> None:
    assert running.train(tmp_path / "run", "trainer.max_steps=1") == 0
    (tmp_path / "run" / "overrides.txt").write_text(
        "".join(f"{word}\n" for word in running.TINY) + "trainer.max_steps=1\n"
    )
    before = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with Lock(tmp_path / "run"):
        code, _, err = forked.run("train", "trainer.resume=run", folder=tmp_path)
    assert code == 2
    assert err.count("\n") == 1
    assert f"in use by process {os.getpid()} on" in err
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == before


def test_a_lock_and_empty_folders_are_a_start_that_did_not_come_to_its_record(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "run.lock").write_text("{}")
    (tmp_path / ".run.lock.host.0123456789ab.tmp").write_text("")
    assert lock.is_unfinished_start(tmp_path)
    (tmp_path / "checkpoints" / "a.png").touch()
    assert not lock.is_unfinished_start(tmp_path)


@pytest.mark.parametrize("files", [("config.yaml",), ("config.yaml", "environment.json")])
def test_a_start_that_was_killed_within_its_record_is_begun_anew(files: tuple[str, ...], tmp_path: Path) -> None:
    for name in (*files, "run.lock", ".overrides.txt.host.0123456789ab.tmp"):
        (tmp_path / name).touch()
    assert lock.is_unfinished_start(tmp_path)
    (tmp_path / "notes.txt").touch()
    assert not lock.is_unfinished_start(tmp_path)
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "run.lock").unlink()  # then config.yaml may be somebody's own
    assert not lock.is_unfinished_start(tmp_path)


def test_the_record_of_a_run_begins_with_the_files_that_a_killed_start_may_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    renamed = os.replace

    def watched(source: Path, target: Path) -> None:
        written.append(target.name)
        renamed(source, target)

    monkeypatch.setattr(os, "replace", watched)
    provenance.write(tmp_path, {"seed": 0}, [])
    assert written == [*lock.BEFORE_RECORD, provenance.OVERRIDES]


def test_a_former_process_that_its_control_group_has_killed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_group, "memory_kills", lambda: {"/group": 3})
    gone, heard = replace(this_process(), started="1"), list[str]()
    for kills, place, told in (({"/group": 2}, gone.place, 1), ({"/group": 3}, gone.place, 0), ({"/group": 2}, "", 0)):
        write(tmp_path, replace(gone, kills=kills, place=place))
        heard.clear()
        monkeypatch.setattr(lock, "PATIENCE", 0.0)
        with Lock(tmp_path, heard.append):
            assert sum("Linux killed 1 process of the control group /group" in line for line in heard) == told
    former = {key: value for key, value in asdict(gone).items() if key != "kills"}
    (tmp_path / FILE).write_text(json.dumps(former))  # as earlier versions wrote it
    with Lock(tmp_path, heard.append):
        pass
