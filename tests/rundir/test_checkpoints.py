"""Checkpoints to resume from: whole or absent, with damage found and named."""

from __future__ import annotations

import errno
import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from densepred import atomic
from densepred.errors import UserError
from densepred.rundir.checkpoints import FILES, MANIFEST, Checkpoints

WEIGHTS = {"a.weight": torch.arange(12.0).view(3, 4), "a.count": torch.tensor(3), "half": torch.ones(5).half()}
TENSORS = {"optimizer.0.exp_avg": torch.ones(3, 4)}
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


@pytest.mark.parametrize("point", ["made", "weights", "state", "meta", "manifest", "synced", "moved"])
def test_a_full_disk_leaves_the_others_and_no_rubbish(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv(atomic.FAULT, f"checkpoint:{point}:full")
    with pytest.raises(OSError, match=r"No space left.*bytes to write") as caught:
        checkpoints.save(2 if point == "moved" else 3, scaled(3), TENSORS, META)
    assert caught.value.errno == errno.ENOSPC
    found = checkpoints.newest()
    assert found is not None
    assert same(found.weights, scaled(2))
    assert sorted(os.listdir(checkpoints.folder)) == ["1", "2"]


POINTS = ["begin", "made", "weights", "state", "meta", "manifest", "synced", "moved", "renamed", "pruning", "pruned"]


def test_a_kill_at_any_point_leaves_the_old_or_the_new_checkpoint(checkpoints: Checkpoints) -> None:
    for step in (3, 2):  # a new step, and one that is saved again
        for point in POINTS:
            copy = checkpoints.folder.with_name(f"{point}-{step}")
            shutil.copytree(checkpoints.folder, copy)
            killed = _save_in_a_process_that_dies(copy, step, f"checkpoint:{point}:kill")
            found = Checkpoints(copy).newest()
            assert found is not None
            new = (step, 7.0)
            assert (found.step, found.weights["a.weight"][0, 1].item()) in ((2, 2.0), new), point
            Checkpoints(copy, 2).save(9, scaled(9), TENSORS, META)
            assert all(name.isdecimal() for name in os.listdir(copy)), point
            assert killed or point in ("moved", "pruning"), point


def _save_in_a_process_that_dies(folder: Path, step: int, fault: str) -> bool:
    """Fork, so that 22 deaths do not cost 22 imports of torch."""
    child = os.fork()
    if child == 0:
        os.environ[atomic.FAULT] = fault
        try:
            Checkpoints(folder, 2).save(step, scaled(7), TENSORS, META)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
