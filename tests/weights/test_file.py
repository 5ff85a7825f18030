"""Checkpoints are whole or absent, damage is found, and what is read back is what was written."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from densepred import atomic
from densepred.errors import UserError
from densepred.jobs.parts import stored, task_and_model
from densepred.rundir.checkpoints import FILES, MANIFEST, Snapshots
from densepred.types import Info
from densepred.weights import header
from densepred.weights.file import find, load_model, read_header, save_weights
from tests.conftest import REPOSITORY

WEIGHTS = {"a.weight": torch.arange(12.0).view(3, 4), "a.count": torch.tensor(3), "half": torch.ones(5).half()}
STATE = {"optimizer.0.exp_avg": torch.ones(3, 4)}
META = {"epoch": 3, "best": 0.5, "nothing": None}
INFO = Info(classes=("sky", "ball"), palette=((0, 0, 0), (9, 9, 9)))


def scaled(factor: float) -> dict[str, Tensor]:
    return {name: value * factor for name, value in WEIGHTS.items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    warnings: list[str] = []
    made = Snapshots(tmp_path / "checkpoints", keep_last=2, warn=warnings.append)
    made.save(1, scaled(1), STATE, META)
    made.save(2, scaled(2), STATE, META)
    made.heard = warnings  # pyright: ignore[reportAttributeAccessIssue]
    return made


def test_the_newest_checkpoint_comes_back_as_it_was(snapshots: Snapshots) -> None:
    found = snapshots.newest()
    assert found is not None
    assert found.step == 2
    assert same(found.weights, scaled(2))
    assert same(found.state, STATE)
    assert found.meta == META


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert Snapshots(tmp_path / "none").newest() is None


def test_only_the_last_are_kept(snapshots: Snapshots) -> None:
    for step in (10, 9, 100):
        snapshots.save(step, scaled(step), STATE, META)
    assert snapshots.steps() == [10, 100]
    assert sorted(os.listdir(snapshots.folder)) == ["10", "100"]


def test_a_step_may_be_saved_again(snapshots: Snapshots) -> None:
    snapshots.save(2, scaled(5), STATE, META)
    assert same(snapshots.load(2).weights, scaled(5))
    assert sorted(os.listdir(snapshots.folder)) == ["1", "2"]


@pytest.mark.parametrize("name", [*FILES, MANIFEST])
def test_an_empty_or_missing_file_is_named_and_the_older_checkpoint_taken(snapshots: Snapshots, name: str) -> None:
    file = snapshots.folder / "2" / name
    for harm in (lambda: file.write_bytes(b""), file.unlink):
        harm()
        found = snapshots.newest()
        assert found is not None
        assert found.step == 1
        assert str(snapshots.folder / "2") in snapshots.heard[-1]  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(UserError, match=str(snapshots.folder / "2")):
            snapshots.load(2)


def test_a_manifest_of_another_step_is_refused_and_further_files_are_ignored(snapshots: Snapshots) -> None:
    (snapshots.folder / "2" / "notes.txt").write_text("mine")
    (snapshots.folder / "notes").mkdir()
    assert snapshots.load(2).step == 2
    shutil.copy(snapshots.folder / "1" / MANIFEST, snapshots.folder / "2" / MANIFEST)
    with pytest.raises(UserError, match="of step 1, not 2"):
        snapshots.load(2)


def test_every_flipped_bit_is_found(snapshots: Snapshots) -> None:
    draw = random.Random(0)
    for name in FILES:
        file = snapshots.folder / "2" / name
        whole = file.read_bytes()
        for _ in range(20):
            place = draw.randrange(len(whole))
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :])
            with pytest.raises(UserError):
                snapshots.load(2)
        file.write_bytes(whole)
    assert snapshots.load(2).step == 2


def test_every_truncation_is_found(snapshots: Snapshots) -> None:
    draw = random.Random(0)
    for name in (*FILES, MANIFEST):
        file = snapshots.folder / "2" / name
        whole = file.read_bytes()
        for _ in range(10):
            file.write_bytes(whole[: draw.randrange(len(whole) - 2)])
            with pytest.raises(UserError):
                snapshots.load(2)
        file.write_bytes(whole)


@pytest.mark.parametrize("point", ["made", "weights", "state", "meta", "manifest", "synced", "moved"])
def test_a_full_disk_leaves_the_others_and_no_rubbish(
    snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv(atomic.FAULT, f"snapshot:{point}:full")
    with pytest.raises(OSError, match=r"No space left.*bytes to write") as caught:
        snapshots.save(2 if point == "moved" else 3, scaled(3), STATE, META)
    assert caught.value.errno == errno.ENOSPC
    found = snapshots.newest()
    assert found is not None
    assert same(found.weights, scaled(2))
    assert sorted(os.listdir(snapshots.folder)) == ["1", "2"]


def test_a_real_limit_on_file_sizes_is_an_os_error(tmp_path: Path) -> None:
    script = (
        "import resource, signal, torch; from pathlib import Path; from densepred.weights.file import save_weights\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: save_weights(Path('w.safetensors'), {'a': torch.zeros(9999)}, {})\n"
        "except OSError as error: print(type(error).__name__)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == "OSError", done.stderr
    assert list(tmp_path.iterdir()) == []


POINTS = ["begin", "made", "weights", "state", "meta", "manifest", "synced", "moved", "renamed", "pruning", "pruned"]


def test_a_kill_at_any_point_leaves_the_old_or_the_new_checkpoint(snapshots: Snapshots) -> None:
    for step in (3, 2):  # a new step, and one that is saved again
        for point in POINTS:
            copy = snapshots.folder.with_name(f"{point}-{step}")
            shutil.copytree(snapshots.folder, copy)
            killed = _save_in_a_process_that_dies(copy, step, f"snapshot:{point}:kill")
            found = Snapshots(copy).newest()
            assert found is not None
            new = (step, 7.0)
            assert (found.step, found.weights["a.weight"][0, 1].item()) in ((2, 2.0), new), point
            Snapshots(copy, 2).save(9, scaled(9), STATE, META)
            assert all(name.isdecimal() for name in os.listdir(copy)), point
            assert killed or point in ("moved", "pruning"), point


def _save_in_a_process_that_dies(folder: Path, step: int, fault: str) -> bool:
    """Fork, so that 22 deaths do not cost 22 imports of torch."""
    child = os.fork()
    if child == 0:
        os.environ[atomic.FAULT] = fault
        try:
            Snapshots(folder, 2).save(step, scaled(7), STATE, META)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_modes_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Snapshots(tmp_path / "c").save(1, WEIGHTS, STATE, META)
        save_weights(tmp_path / "w.safetensors", WEIGHTS, {})
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o777 if path.is_dir() else 0o666) & ~umask, path


def test_tensors_that_share_memory_or_are_views_are_written_apart(tmp_path: Path) -> None:
    base = torch.arange(8.0)
    state = {"a": base, "b": base, "c": base[2:4], "d": base.view(2, 4).t(), "e": torch.zeros(0), "f": torch.zeros(0)}
    save_weights(tmp_path / "w.safetensors", state, {})
    read = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(read[name], value) for name, value in state.items())


def test_json_has_null_where_a_number_is_not_finite(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "a.json", {"a": float("nan"), "b": [float("inf"), 1.5], "c": {"d": float("-inf")}})
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": None, "b": [None, 1.5], "c": {"d": None}}


def described(plain: Callable[..., dict[str, Any]], *overrides: str) -> tuple[Any, dict[str, Any]]:
    config = plain(*overrides)
    _, model = task_and_model(config["task"], config["model"], INFO)
    return model, {"model": stored(config["model"]), "task": stored(config["task"]), "info": INFO.to_json()}


@pytest.mark.parametrize("name", ["unet", "segnet", "deeplabv3"])
def test_a_model_comes_back_from_its_file_alone(plain: Any, tmp_path: Path, name: str) -> None:
    model, header = described(plain, f"model={name}")
    save_weights(tmp_path / "best.safetensors", model.state_dict(), header)
    loaded, task, read = load_model(tmp_path)
    assert same(dict(loaded.state_dict()), dict(model.state_dict()))
    assert (read["info"]["classes"], task.info) == (["sky", "ball"], INFO)
    image = torch.rand(1, 3, 37, 45)
    with torch.no_grad():
        assert torch.equal(loaded(image)["semantic"][-1], model.eval()(image)["semantic"][-1])


def test_a_run_gives_its_best_weights_or_else_its_last(tmp_path: Path) -> None:
    for name in ("last", "best"):
        save_weights(tmp_path / f"{name}.safetensors", WEIGHTS, {"model": {}, "task": {}, "info": {}})
        assert find(tmp_path).stem == name
    assert read_header(find(tmp_path))["format"] == 1


@pytest.mark.parametrize(
    ("what", "words"),
    [("nothing", "no such file"), ("", "neither best"), ("https://host/a.safetensors", "an address")],
)
def test_what_is_no_checkpoint_is_refused_by_a_sentence(tmp_path: Path, what: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        find(what if "://" in what else tmp_path / what)


def test_weights_of_another_model_are_refused_by_name(plain: Any, tmp_path: Path) -> None:
    model, header = described(plain, "model=unet")
    state = dict(model.state_dict())
    first = next(iter(state))
    cases = [
        ({k: v for k, v in state.items() if k != first}, f"lacks {first}"),
        (state | {"further": torch.ones(1)}, "holds unknown further"),
        (state | {first: torch.ones(1, 2)}, f"{first} is"),
    ]
    for harmed, words in cases:
        save_weights(tmp_path / "w.safetensors", harmed, header)
        with pytest.raises(UserError, match=words):
            load_model(tmp_path / "w.safetensors")


@pytest.mark.parametrize("length", [0x80, 0x180, 0x4B50])
def test_a_header_whose_length_looks_like_a_pickle_is_read(tmp_path: Path, length: int) -> None:
    path = tmp_path / "w.safetensors"
    text = b'{"__metadata__":{"densepred":"{}"}}'
    path.write_bytes(length.to_bytes(8, "little") + text.ljust(length))
    assert header.raw_header(path) == {"__metadata__": {"densepred": "{}"}}
