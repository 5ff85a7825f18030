"""Checkpoints to resume from: whole or absent, with damage found and named."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from densepred.errors import UserError
from densepred.rundir.checkpoints import MANIFEST, Checkpoints
from tests import cases
from tests.faults import Operations, die

WEIGHTS = {"a.weight": torch.arange(12.0).view(3, 4), "a.count": torch.tensor(3), "half": torch.ones(5).half()}
TENSORS = {"optimizer.0.exp_avg": torch.ones(3, 4)}
FILES = ("weights.safetensors", "state.safetensors", "state.json")
"""Files with a digest, by name: a list taken from the program would shrink with it."""
FIRST = cases.sample(range(8), 8)
"""Every operation of a save is in one of eight cases, of which `make test` takes one."""
META = {"epoch": 3, "best": 0.5, "nothing": None}


def scaled(factor: float) -> dict[str, Tensor]:
    return {name: value * factor for name, value in WEIGHTS.items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    warnings: list[str] = []
    made = Checkpoints(tmp_path / "checkpoints", keep_last=2, warn=warnings.append)
    made.save(1, scaled(1), TENSORS, META)
    made.save(2, scaled(2), TENSORS, META)
    made.warnings = warnings  # pyright: ignore[reportAttributeAccessIssue]
    return made


def test_the_newest_checkpoint_comes_back_as_it_was(checkpoints: Checkpoints) -> None:
    found = checkpoints.newest()
    assert found is not None
    assert found.step == 2
    assert same(found.weights, scaled(2))
    assert same(found.tensors, TENSORS)
    assert found.meta == META


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none").newest() is None


def test_only_the_last_are_kept(checkpoints: Checkpoints) -> None:
    for step in (10, 9, 100):
        checkpoints.save(step, scaled(step), TENSORS, META)
    assert checkpoints.steps() == [10, 100]
    assert sorted(os.listdir(checkpoints.folder)) == ["10", "100"]


def test_a_step_may_be_saved_again(checkpoints: Checkpoints) -> None:
    checkpoints.save(2, scaled(5), TENSORS, META)
    assert same(checkpoints.load(2).weights, scaled(5))
    assert sorted(os.listdir(checkpoints.folder)) == ["1", "2"]


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_an_empty_or_missing_file_is_named_and_the_older_checkpoint_taken(checkpoints: Checkpoints, name: str) -> None:
    file = checkpoints.folder / "2" / name
    for harm in (lambda: file.write_bytes(b""), file.unlink):
        harm()
        found = checkpoints.newest()
        assert found is not None
        assert found.step == 1
        assert str(checkpoints.folder / "2") in checkpoints.warnings[-1]  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(UserError, match=str(checkpoints.folder / "2")):
            checkpoints.load(2)


def test_a_manifest_of_another_step_is_refused_and_further_files_are_ignored(checkpoints: Checkpoints) -> None:
    (checkpoints.folder / "2" / "notes.txt").write_text("mine")
    (checkpoints.folder / "notes").mkdir()
    assert checkpoints.load(2).step == 2
    shutil.copy(checkpoints.folder / "1" / MANIFEST, checkpoints.folder / "2" / MANIFEST)
    with pytest.raises(UserError, match="of step 1, not 2"):
        checkpoints.load(2)


def test_every_flipped_bit_is_found(checkpoints: Checkpoints) -> None:
    draw = random.Random(0)
    for name in FILES:
        file = checkpoints.folder / "2" / name
        whole = file.read_bytes()
        for _ in range(20):
            place = draw.randrange(len(whole))
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
            with pytest.raises(UserError):
                checkpoints.load(2)
        file.write_bytes(whole)
    assert checkpoints.load(2).step == 2


def test_every_truncation_is_found(checkpoints: Checkpoints) -> None:
    draw = random.Random(0)
    for name in (*FILES, MANIFEST):
        file = checkpoints.folder / "2" / name
        whole = file.read_bytes()
        for _ in range(10):
            file.write_bytes(whole[: draw.randrange(len(whole) - 2)])
            with pytest.raises(UserError):
                checkpoints.load(2)
        file.write_bytes(whole)


@pytest.mark.parametrize("first", FIRST)
def test_a_full_disk_leaves_the_others_and_no_rubbish(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    for step in (3, 2):  # a new step, and one that is saved again
        for at in range(first, 100, len(FIRST)):
            copy = Checkpoints(checkpoints.folder.with_name(f"{at}-{step}"), 2)
            shutil.copytree(checkpoints.folder, copy.folder)
            operations = Operations(at, full)
            with monkeypatch.context() as patch:
                operations.counted(patch)
                with contextlib.suppress(OSError):
                    copy.save(step, scaled(7), TENSORS, META)
            if len(operations.names) <= at:
                break
            found = copy.newest()
            assert found is not None
            assert found.step in (2, step)
            assert same(found.weights, scaled(2)) or same(found.weights, scaled(7)), (at, operations.names)
            copy.save(9, scaled(9), TENSORS, META)
            assert all(name.isdecimal() for name in os.listdir(copy.folder)), (at, operations.names)
        else:
            pytest.fail("the save takes more operations than were tried")


def full() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_named_with_the_bytes_to_write(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Operations(5, full).counted(patch)
        with pytest.raises(OSError, match=r"No space left.*bytes to write") as caught:
            checkpoints.save(3, scaled(3), TENSORS, META)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("first", FIRST)
def test_a_kill_at_any_operation_leaves_the_old_or_the_new_checkpoint(checkpoints: Checkpoints, first: int) -> None:
    for step in (3, 2):  # a new step, and one that is saved again
        weights = set()
        for at in range(first, 100, len(FIRST)):
            copy = checkpoints.folder.with_name(f"{at}-{step}")
            shutil.copytree(checkpoints.folder, copy)
            killed = _save_in_a_process_that_dies(copy, step, at)
            found = Checkpoints(copy).newest()
            assert found is not None
            weights.add((found.step, found.weights["a.weight"][0, 1].item()))
            Checkpoints(copy, 2).save(9, scaled(9), TENSORS, META)
            assert all(name.isdecimal() for name in os.listdir(copy)), at
            if not killed:
                break
        else:
            pytest.fail("the save takes more operations than were tried")
        assert weights == {(2, 2.0), (step, 7.0)}


def _save_in_a_process_that_dies(folder: Path, step: int, at: int) -> bool:
    """Fork, so that 60 deaths do not cost 60 imports of torch."""
    child = os.fork()
    if child == 0:
        try:
            Operations(at, die).counted(pytest.MonkeyPatch())
            Checkpoints(folder, 2).save(step, scaled(7), TENSORS, META)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
