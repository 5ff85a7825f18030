"""The counts of docs/reliability.md: kills and signals at drawn moments, and kills at every point of a save.

`RELIABILITY_MINUTES` bounds each test (3 by default), and `-s` prints how many trials it came to.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from densepred.rundir.checkpoints import Checkpoints
from tests import forked
from tests.faults import Operations, die
from tests.program.test_program import equal_runs
from tests.running import TINY

pytestmark = pytest.mark.slow

WORDS = (
    *(word for word in TINY if not word.startswith("dataset.counts")),
    "dataset.counts={train: 16, valid: 2, test: 1}",
    "trainer.epochs=4",
    "trainer.ema=0.9",
    "trainer.accumulate=2",
    "trainer.save_every=0.003",
    "encoder.dropout=0.2",
    "trainer.threads=1",
)
TASKS: dict[str, tuple[str, ...]] = {
    "semantic": (),
    "panoptic": ("task=panoptic",),
    "instance_center": ("task=instance_center",),
    "instance_components": ("task=instance_components",),
    "autoencoder": ("task=autoencoder",),
}
POINTS = (
    (1, ("rename", 0)),  # there is no older checkpoint
    *((3, point) for point in (("mkdir", 1), ("write", 5), ("fsync", 0), ("fsync", 1), ("open", 2), ("link", 0))),
    *((3, point) for point in (("open", 3), ("rename", 0), ("unlink", 0), ("rmdir", 0))),  # the last: pruned in part
    (3, ("replace", 0)),  # the checkpoint is whole, last.safetensors not yet
)
"""Saves of a run from 1, and the operation of each before which the process dies; see `tests.faults`."""
MINUTE = 60.0
"""Seconds in which a run of two processes ends after the death of one."""
LATE = 20.0
"""Seconds from a signal to the end: one step, one save, and the load of a busy machine."""


def trials(total: int) -> Iterator[int]:
    """Yield the numbers of trials until the time is over."""
    end = time.monotonic() + 60 * float(os.environ.get("RELIABILITY_MINUTES", "3"))
    for trial in range(total):
        if time.monotonic() > end:
            return
        yield trial


def undisturbed(folder: Path, *words: str) -> float:
    """Train into `whole`; return the seconds that it took."""
    begin = time.monotonic()
    code, _, err = forked.run("train", *words, "hydra.run.dir=whole", folder=folder)
    assert code == 0, err
    return time.monotonic() - begin


def resumed(folder: Path, *words: str) -> None:
    """Go on with `run`, and compare it with `whole`. A run that was killed before its record begins."""
    auto = ("hydra.run.dir=run", "trainer.resume=auto")
    code, _, err = forked.run("train", *words, *auto, folder=folder)
    assert code == 0, err
    assert equal_runs(folder / "whole", folder / "run")
    shutil.rmtree(folder / "run")


@pytest.mark.parametrize(("devices", "total"), [(1, 200), (2, 50)])
def test_runs_that_are_killed_at_drawn_moments_end_alike(tmp_path: Path, devices: int, total: int) -> None:
    words = (*WORDS, f"trainer.devices={devices}")
    seconds, done, cut = undisturbed(tmp_path, *words), 0, 0
    for trial in trials(total):
        run = forked.Started("train", (*words, "hydra.run.dir=run", "trainer.resume=auto"), tmp_path, {})
        end = time.monotonic() + random.Random(trial).uniform(0, seconds)
        while (code := run.ended()) is None and time.monotonic() < end:
            time.sleep(0.01)
        if code is None:
            os.kill(run.pid, signal.SIGKILL)
            code = run.wait()[0]
        cut += code != 0
        assert code in (0, -signal.SIGKILL)
        resumed(tmp_path, *words)
        done += 1
    print(f"\n{done} of {total} runs of {devices} processes resumed alike, {cut} of them killed before their end")
    assert done


def ranks(launcher: int) -> list[int]:
    """Return the process numbers of both ranks, none while one has not begun or has ended."""
    found = subprocess.run(["pgrep", "-P", str(launcher)], capture_output=True, text=True, check=False).stdout.split()
    return sorted(map(int, found))[1:] if len(found) == 3 else []  # the first is Python's tracker of resources


def test_a_rank_that_is_killed_at_a_drawn_moment_ends_the_run(tmp_path: Path) -> None:
    """A kill while the launcher ends its processes anyway changes nothing, and the run ends by itself."""
    words = (*WORDS, "trainer.devices=2")
    seconds, done, slowest, codes = undisturbed(tmp_path, *words), 0, 0.0, dict[int, int]()
    for trial in trials(50):
        draw = random.Random(trial)
        run = forked.Started("train", (*words, "hydra.run.dir=run", "trainer.resume=auto"), tmp_path, {})
        time.sleep(draw.uniform(0, seconds))
        while (code := run.ended()) is None and not (pids := ranks(run.pid)):
            time.sleep(0.01)
        if code is None:
            begin = time.monotonic()
            with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(draw.choice(pids), signal.SIGKILL)
            while (code := run.ended()) is None:
                assert time.monotonic() - begin < MINUTE, f"trial {trial} goes on"
                time.sleep(0.01)
            slowest = max(slowest, time.monotonic() - begin)
        _, err = run.texts()
        assert code == 0 or (code == 2 and " of 2 was killed by SIGKILL" in err.splitlines()[-1]), (trial, code, err)
        codes[code] = codes.get(code, 0) + 1
        resumed(tmp_path, *words)
        done += 1
    print(f"\n{done} of 50 deaths of a rank, exit codes {codes}, at most {slowest:.1f} s")
    assert codes.get(2), codes


def dying(save: Callable[..., Any], patch: pytest.MonkeyPatch, call: int, at: tuple[str, int]) -> Callable[..., Any]:
    """Return `Checkpoints.save`, which dies at an operation of its `call` (from 1) or after it."""
    calls = 0

    def saved(self: Checkpoints, *arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            Operations(at, die, beside=True).counted(patch)
        return save(self, *arguments, **more)

    return saved


@pytest.mark.parametrize("task", TASKS)
def test_runs_that_are_killed_at_each_point_of_a_save_end_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    overridden = {word.partition("=")[0] for word in TASKS[task]}
    plain = [word for word in WORDS if task == "semantic" or not word.startswith(("model=", "encoder.dropout"))]
    words = (*(word for word in plain if word.partition("=")[0] not in overridden), *TASKS[task])
    undisturbed(tmp_path, *words)
    for call, at in POINTS:
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoints, "save", dying(Checkpoints.save, patch, call, at))
            code, _, err = forked.run("train", *words, "hydra.run.dir=run", folder=tmp_path)
        assert code == -signal.SIGKILL, (call, at, err)
        resumed(tmp_path, *words)
    print(f"\n{task}: {len(POINTS)} of {len(POINTS)} points of a save")


def test_signals_at_drawn_moments_save_and_end(tmp_path: Path) -> None:
    seconds, done, slowest, codes = undisturbed(tmp_path, *WORDS), 0, 0.0, dict[int, int]()
    for trial in trials(100):
        draw = random.Random(trial)
        words = (*WORDS, f"data.workers={trial % 2}", "hydra.run.dir=run", "trainer.resume=auto")
        run = forked.Started("train", words, tmp_path, {})
        time.sleep(draw.uniform(0.05, seconds))
        begin = time.monotonic()
        number = draw.choice((signal.SIGTERM, signal.SIGINT, signal.SIGUSR1))
        os.kill(run.pid, number)
        while (code := run.ended()) is None:
            assert time.monotonic() - begin < LATE, f"trial {trial} goes on"
            time.sleep(0.01)
        _, err = run.texts()
        slowest, codes[code] = max(slowest, time.monotonic() - begin), codes.get(code, 0) + 1
        early = code in (-number, 1) and not (tmp_path / "run").exists()  # the fork had not come to the command
        assert code in (0, 75, 130) or early, (trial, code, err)
        assert early or "Traceback" not in err, (trial, err)
        resumed(tmp_path, *WORDS)
        done += 1
    print(f"\n{done} of 100 signals, exit codes {codes}, at most {slowest:.1f} s")
    assert done
