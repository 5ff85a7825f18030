"""Fuzzing of readers in a child process: crashes, hangs and memory count as findings, as exceptions do."""

from __future__ import annotations

import os
import random
import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from densepred.errors import UserError
from tests.fuzz.mutations import mutated
from tests.fuzz.readers import KINDS, Kind, check

SECONDS = 10  # of the processor, for one file
MEMORY = 2**30  # bytes that reading damaged files may add to the process
FINISHED = "finished"


class Slow(BaseException):
    """A reader took too long; no handler of exceptions may hide it."""


def findings(name: str, cases: Sequence[int]) -> list[str]:
    """Read a damaged file per number in `cases` in a fork of this process; return what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        report.touch()
        child = os.fork()
        if child == 0:
            try:
                _work(name, cases, Path(folder), report)
            finally:
                os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        lines = report.read_text().splitlines()
    if status or not lines or lines[-1] != FINISHED:
        return [*[line for line in lines if line.startswith("found ")], f"{name}: ended with {status} at {lines[-1:]}"]
    return [line for line in lines if line.startswith("found ")]


def _work(name: str, cases: Sequence[int], folder: Path, report: Path) -> None:
    kind = KINDS[name]
    signal.signal(signal.SIGPROF, _slow)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    places = [_written(kind, folder / str(variant), variant) for variant in range(kind.variants)]
    with report.open("a") as file:
        for case in cases:
            print(f"{name} case {case}", file=file, flush=True)
            path, valid = places[case % len(places)]
            path.write_bytes(mutated(valid, kind.changes, random.Random(case)))
            if problem := _problem(kind, path):
                print(f"found {name} case {case}: {problem}", file=file, flush=True)
            path.write_bytes(valid)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        if grown > MEMORY:
            print(f"found {name}: memory grew by {grown >> 20} MB", file=file)
        print(FINISHED, file=file)


def _written(kind: Kind, folder: Path, variant: int) -> tuple[Path, bytes]:
    folder.mkdir()
    path = kind.write(folder, variant)
    kind.read(path)  # the file is valid before it is damaged
    return path, path.read_bytes()


def _problem(kind: Kind, path: Path) -> str | None:
    """Return what went wrong; None if the file was read, or refused by a sentence."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(path)
    except UserError as error:
        check(error)
    except (Exception, Slow) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/densepred/" in frame.filename]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else place.name
        return f"{type(error).__name__}: {str(error)[:90]!r} at {at}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return None


def _slow(number: int, frame: FrameType | None) -> None:
    raise Slow(f"more than {SECONDS} s")
