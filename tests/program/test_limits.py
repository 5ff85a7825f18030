"""Limits of memory and time: an allocation that fails, a worker that is halted, many images."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch.utils.data import get_worker_info

from densepred.dataset.shapes import Shapes
from densepred.jobs import evaluation
from densepred.results import by_rows
from densepred.rundir.checkpoints import Checkpoints
from tests import forked, running
from tests.conftest import PATIENCE
from tests.program.test_program import ENVIRONMENT, equal_runs
from tests.running import TINY

MB = 2**20


def replaced(settings: dict[str, str]) -> tuple[str, ...]:
    """Return the overrides of a tiny run with other values of some."""
    kept = [word for word in TINY if word.partition("=")[0] not in settings]
    return (*kept, *(f"{key}={value}" for key, value in settings.items()))


def halting(draw: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that halts the loader worker that draws the first training sample of the second epoch."""
    drawn = 0

    def drawing(self: Shapes, split: str, index: int) -> Any:
        nonlocal drawn
        drawn += split == "train" and get_worker_info() is not None
        if drawn > len(self):
            os.kill(os.getpid(), signal.SIGSTOP)
        return draw(self, split, index)

    return drawing


@pytest.mark.slow
def test_a_halted_worker_is_named_and_the_run_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"dataset.counts": "{train: 4, valid: 1, test: 1}", "trainer.epochs": "3"}
    words = replaced({**counts, "data.workers": "1", "data.timeout_s": "5"})
    assert forked.run("train", *words, "hydra.run.dir=whole", folder=tmp_path)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(Shapes, "_draw", halting(Shapes._draw))
        code, _, err = forked.run("train", *words, "hydra.run.dir=run", folder=tmp_path)
    assert code == 2
    [line] = err.splitlines()
    assert line.startswith("error: no batch came within data.timeout_s; is the disk slow, or a loader worker stopped?")
    assert Checkpoints(tmp_path / "run/checkpoints").newest() is not None
    assert forked.run("train", "trainer.resume=run", folder=tmp_path)[0] == 0
    assert equal_runs(tmp_path / "whole", tmp_path / "run")


def limiting(save: Callable[..., Any], room: int) -> Callable[..., Any]:
    """Return `Checkpoints.save`, after which the process may take `room` more bytes of address space."""

    def saved(self: Checkpoints, *arguments: Any, **more: Any) -> Any:
        done = save(self, *arguments, **more)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + room
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        return done

    return saved


@pytest.mark.slow
def test_memory_that_runs_out_is_one_line_and_the_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = {"dataset.size": "[512,512]", "encoder.widths": "[16,32]", "data.batch_size": "2"}
    words = replaced({**larger, "dataset.counts": "{train: 4, valid: 1, test: 1}", "trainer.epochs": "3"})
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", limiting(Checkpoints.save, 64 * MB))
        code, _, err = forked.run("train", *words, "hydra.run.dir=run", folder=tmp_path)
    assert code == 2, err
    assert err.splitlines()[-1].startswith("error: memory ran out: ulimit -v is ")
    assert "Traceback" not in err
    assert Checkpoints(tmp_path / "run/checkpoints").newest() is not None


def noting(report: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """Return `_report` of an evaluation, after which the peak of memory of the process in kB stands in a file."""

    def reported(*arguments: Any) -> None:
        report(*arguments)
        lines = Path("/proc/self/status").read_text().splitlines()
        file.write_text(next(line for line in lines if line.startswith("VmHWM")).split()[1])

    return reported


@pytest.mark.slow
def test_the_memory_of_an_evaluation_does_not_grow_with_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running.train(tmp_path / "run", "trainer.max_steps=1", "dataset.size=[128,160]") == 0  # 61 kB an image
    monkeypatch.setattr(evaluation, "_report", noting(evaluation._report, tmp_path / "peak"))
    peaks = {}
    for count in (20, 2000):
        words = ("ckpt=run", f"dataset.counts={{train: 10, valid: {count}, test: 1}}", "data.workers=0")
        assert forked.run("eval", *words, "data.batch_size=2", folder=tmp_path)[0] == 0
        peaks[count] = int((tmp_path / "peak").read_text())
    assert peaks[2000] - peaks[20] < 50_000


SPACES = (300, 3100, 3300, 3450, 3520, 3660)
"""Limits of address space in MB. A training takes about 3.9 GB; below, another library fails each time."""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_limit_of_address_space_from_the_start_is_one_line(tmp_path: Path, workers: int) -> None:
    words = replaced({"data.workers": str(workers), "trainer.epochs": "2"})
    for space in SPACES:
        call = [sys.executable, "-m", "densepred.train", *words, f"hydra.run.dir={space}"]
        limit = (space * MB, space * MB)
        done = subprocess.run(
            call,
            cwd=tmp_path,
            env=ENVIRONMENT,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_AS, limit),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode in (0, 2), (space, done.stderr)
        assert done.returncode == 0 or done.stderr.splitlines()[-1].startswith("error: "), (space, done.stderr)
        assert "a mistake in densepred" not in done.stderr, space


SIDE = 12_000
"""Pixels of a side of an image that takes 432 MB by itself, and 4.6 GB as scores."""


def measuring(write: Callable[..., Any], file: Path) -> Callable[..., Any]:
    """Return `by_rows.write`, after which the memory in kB that it took beyond what was there stands in a file."""

    def memory(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1])

    def measured(*arguments: Any) -> None:
        before = memory("VmRSS")
        write(*arguments)
        file.write_text(str(memory("VmHWM") - before))

    return measured


@pytest.mark.slow
def test_an_image_of_12000_pixels_a_side_takes_no_more_memory_than_its_strips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert running.train(tmp_path / "run", "trainer.max_steps=1") == 0
    header = f"P6\n{SIDE} {SIDE}\n255\n".encode()
    with (tmp_path / "large.ppm").open("wb") as image:
        image.write(header)
        image.truncate(len(header) + 3 * SIDE**2)
    monkeypatch.setattr(by_rows, "write", measuring(by_rows.write, tmp_path / "taken"))
    words = ("ckpt=run", "input=large.ppm", "output=out", "tile=1024", "overlap=0", "threads=1", "overlay=false")
    code, _, err = forked.run("predict", *words, folder=tmp_path)
    assert code == 0, err
    with Image.open(tmp_path / "out/labels/large.png") as labels:
        assert labels.size == (SIDE, SIDE)
    assert int((tmp_path / "taken").read_text()) < 1_500_000
