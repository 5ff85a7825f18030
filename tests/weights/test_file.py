"""Files of weights: read back as they were written, and refused where they do not fit."""

from __future__ import annotations

import json
import os
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
from densepred.rundir.checkpoints import Checkpoints
from densepred.types import Info
from densepred.weights import header
from densepred.weights.file import load_model, read_tensors, save_weights, write_tensors
from densepred.weights.header import find_weights, read_header
from tests.conftest import REPOSITORY

WEIGHTS = {"a.weight": torch.arange(12.0).view(3, 4), "a.count": torch.tensor(3), "half": torch.ones(5).half()}
INFO = Info(classes=("sky", "ball"), palette=((0, 0, 0), (9, 9, 9)))


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a)


@pytest.mark.slow
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


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
def test_modes_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        Checkpoints(tmp_path / "c").save(1, WEIGHTS, {}, {})
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
        assert find_weights(tmp_path).stem == name
    assert read_header(find_weights(tmp_path))["format"] == 1


@pytest.mark.parametrize(
    ("what", "words"),
    [("nothing", "no such file"), ("", "neither best"), ("https://host/a.safetensors", "an address")],
)
def test_what_is_no_checkpoint_is_refused_by_a_sentence(tmp_path: Path, what: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        find_weights(what if "://" in what else tmp_path / what)


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
def test_a_header_with_a_length_that_looks_like_a_pickle_is_read(tmp_path: Path, length: int) -> None:
    path = tmp_path / "w.safetensors"
    text = b'{"__metadata__":{"densepred":"{}"}}'
    path.write_bytes(length.to_bytes(8, "little") + text.ljust(length))
    assert header.raw_header(path) == {"__metadata__": {"densepred": "{}"}}


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, original = tmp_path / "best.safetensors", header.placed_header
    for value, place in ((1.0, path), (2.0, tmp_path / "new.safetensors")):
        write_tensors(place, {"a": torch.full((3,), value)}, {"densepred": "{}"})

    def replaced(given: Path) -> Any:
        found = original(given)
        if (tmp_path / "new.safetensors").exists():
            (tmp_path / "new.safetensors").replace(path)
        return found

    monkeypatch.setattr(header, "placed_header", replaced)
    assert read_tensors(path)["a"].tolist() == [2, 2, 2]
