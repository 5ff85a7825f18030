"""Resuming: settings that may change, states that are refused, and published weights that follow the checkpoint."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from densepred import atomic
from densepred.engine import trainer
from densepred.errors import UserError
from densepred.rundir import provenance, tensor_file
from densepred.rundir.checkpoints import BEST, FILES, MANIFEST
from densepred.rundir.progress import Progress
from densepred.weights.file import read_tensors, save_weights
from densepred.weights.header import read_header
from tests import cases, running

UPDATE = Progress.update
WORDS = ("trainer.max_steps=4", "trainer.ema=0.9")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 4 steps, 3 per epoch: it ended within its second epoch."""
    folder = tmp_path_factory.mktemp("base") / "run"
    assert running.train(folder, *WORDS) == 0
    return folder


@pytest.fixture
def run(base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(base, tmp_path / "run"))


def resumed(run: Path, *words: str, allow: str = "") -> int:
    kept = [word for word in WORDS if word.partition("=")[0] not in {word.partition("=")[0] for word in words}]
    allowed = (f"trainer.allow=[{allow}]",) if allow else ()
    return running.train(run, *kept, *words, f"trainer.resume={run}", *allowed)


def meta(run: Path, step: int = 4) -> dict[str, Any]:
    return json.loads((run / "checkpoints" / str(step) / "state.json").read_text())


def rewrite(run: Path, step: int, name: str, write: Any) -> None:
    """Change a file of a checkpoint, and its digest with it, so that it is no damage but another content."""
    folder = run / "checkpoints" / str(step)
    write(folder / name)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"][name] = {"size": (folder / name).stat().st_size, "sha256": atomic.digest(folder / name)}
    (folder / MANIFEST).write_text(json.dumps(manifest))


CHANGES = {
    "trainer.ema=null": ("trainer.ema", "averaged weights are dropped"),
    "trainer.ema=0.5": ("trainer.ema", ""),
    "trainer.precision=fp16": ("trainer.precision", "the scale of the loss begins afresh"),
    "trainer.accumulate=2": ("trainer.accumulate", ""),
    "trainer.freeze=[encoder]": ("trainer.freeze", "drops"),
    "trainer.monitor=mean_dice": ("trainer.monitor", "mean_dice selects the best weights from now on, miou did before"),
    "optimizer=sgd": ("optimizer", "the state of the optimizer"),
    "optimizer.lr=0.01": ("optimizer", ""),
    "optimizer.weight_decay=0": ("optimizer", ""),
    "optimizer.groups={encoder: {lr: 0.1}}": ("optimizer", ""),
    "scheduler=constant": ("scheduler", ""),
    "loss=focal": ("loss,task", ""),
    "data.batch_size=2": ("data", "1 batches of 4 count as 2 of 2"),
    "data.batch_size=10": ("data", "1 batches of 4 count as 0 of 10"),
    "dataset.counts={train: 4, valid: 3, test: 3}": ("dataset", ""),
}


UNLIKE = ("trainer.ema=null", "optimizer=sgd", "data.batch_size=2")


@pytest.mark.parametrize("word", cases.few(CHANGES, UNLIKE))
def test_a_setting_that_may_change_works_and_is_remembered(
    run: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    allow, line = CHANGES[word]
    words = (word, "trainer.max_steps=6")
    with pytest.raises(UserError, match=r"trainer\.allow"):
        resumed(run, word)
    capsys.readouterr()
    assert resumed(run, *words, allow=f"trainer.max_steps,{allow}") == 0
    heard = capsys.readouterr()
    assert line in heard.err
    assert [one["step"] for one in running.metrics(run) if "train/lr" in one] == [1, 2, 3, 4, 5, 6]
    remembered = provenance.overrides(run)
    assert word in remembered
    assert meta(run, 6)["overrides"] == remembered
    again = [one for one in remembered if not one.startswith("trainer.max_steps")]
    assert running.train(run, *again, "trainer.max_steps=6", f"trainer.resume={run}") == 0


def test_a_change_of_the_decay_keeps_each_parameter_its_own_momentum(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = meta(run)["parameters"], read_tensors(run / "checkpoints" / "4" / "state.safetensors")
    seen: list[tuple[list[str], Mapping[str, Tensor]]] = []

    def step(self: trainer.Trainer, *batches: object) -> None:
        state = self.state.state_dict()
        seen.append((state["meta"]["parameters"], state["tensors"]))
        raise RuntimeError("seen")

    monkeypatch.setattr(trainer.Trainer, "_step", step)
    with pytest.raises(RuntimeError, match="seen"):
        resumed(run, "optimizer.weight_decay=0", "trainer.max_steps=6", allow="optimizer,trainer.max_steps")
    names, tensors = seen[0]
    assert names != before[0]
    assert sorted(names) == sorted(before[0])
    for index, name in enumerate(before[0]):
        for slot in ("exp_avg", "exp_avg_sq", "step"):
            assert torch.equal(before[1][f"optimizer.{index}.{slot}"], tensors[f"optimizer.{names.index(name)}.{slot}"])


def test_epochs_count_in_the_batches_of_the_new_size(run: Path) -> None:
    words = ("trainer.max_steps=null", "trainer.epochs=3", "data.batch_size=2")
    assert resumed(run, *words, allow="trainer,data.batch_size") == 0
    counts = [(one["step"], one["epoch"]) for one in running.metrics(run) if "train/lr" in one]
    # Step 4 was the first batch of the second epoch, 4 of its 10 images; 3 batches of 2 are left of it, then 5.
    assert counts[-1] == (4 + 3 + 5, 3)


LOST = ["progress", "meter", "scaler", "config", "environment", "files", "tensors", "parameters", "overrides"]


@pytest.mark.parametrize("key", cases.sample([*LOST, "progress.step", "progress.best", "meter.steps"], 3))
def test_a_state_without_one_of_its_parts_is_refused_by_name(run: Path, key: str) -> None:
    stored = meta(run)
    node = stored
    *path, last = key.split(".")
    for part in path:
        node = node[part]
    del node[last]
    rewrite(run, 4, "state.json", lambda path: path.write_text(json.dumps(stored)))
    before = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(UserError, match=rf"checkpoints/4: lacks {key}; remove this folder to go on from .*/3"):
        resumed(run)
    assert (run / "metrics.jsonl").read_bytes() == before
    shutil.rmtree(run / "checkpoints" / "4")
    assert resumed(run) == 0


@pytest.mark.parametrize(
    ("name", "harm"),
    [("optimizer.3.exp_avg", None), ("average.n_averaged", None), ("average.module.mean", None)]
    + [("optimizer.0.exp_avg", torch.zeros(2)), ("average.module.mean", torch.zeros(1, 3, 1, 1).double())],
)
def test_a_tensor_that_is_missing_or_of_another_form_is_refused_by_name(
    run: Path, name: str, harm: Tensor | None
) -> None:
    stored = read_tensors(run / "checkpoints" / "4" / "state.safetensors")
    tensors = {key: value.clone() for key, value in stored.items()}  # the file that they are mapped from is rewritten
    assert name in tensors
    changed = {key: value for key, value in tensors.items() if key != name} | ({name: harm} if harm is not None else {})
    rewrite(run, 4, "state.safetensors", lambda path: tensor_file.write(path, changed))
    fact = f"lacks {name}" if harm is None else rf"{name} is float.*, where float32 .* was written"
    with pytest.raises(UserError, match=rf"checkpoints/4: {fact}; remove this folder"):
        resumed(run)
    former = meta(run)  # the same in a run from before the lists of tensors
    for key in ("format", "tensors", "parameters", "overrides"):
        del former[key]
    rewrite(run, 4, "state.json", lambda path: path.write_text(json.dumps(former)))
    with pytest.raises(UserError, match=r"checkpoints/4: .*(optimizer|module\.mean|n_averaged)"):
        resumed(run)


def test_a_run_with_all_checkpoints_damaged_or_gone_does_not_begin_anew(run: Path) -> None:
    before = (run / "metrics.jsonl").read_bytes()
    for folder in (run / "checkpoints").iterdir():
        (folder / FILES[0]).write_bytes(b"")
    with pytest.raises(UserError, match=r"each of its 2 checkpoints is damaged; .*weights\.init="):
        resumed(run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match=r"has last\.safetensors and no checkpoint to go on from"):
        resumed(run)
    assert (run / "metrics.jsonl").read_bytes() == before


def test_published_weights_that_lag_behind_are_written_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    last, best = run / "last.safetensors", run / "best.safetensors"
    whole = load(last.read_bytes()), load(best.read_bytes()), read_header(best)
    header = read_header(last)
    save_weights(last, {name: value * 0 for name, value in whole[0].items()}, {**header, "step": 3})
    best.unlink()  # its content stays under its second name
    best.write_bytes(b"cut off")
    (run / ".last.safetensors.host.0123.tmp").write_bytes(b"begun")
    (run / ".mine.tmp").write_bytes(b"of the user")
    assert resumed(run) == 0
    heard = capsys.readouterr().out
    assert "last.safetensors was not of step 4; it is written again" in heard
    assert "removed 1 file that" in heard
    for file, tensors in ((last, whole[0]), (best, whole[1])):
        found = read_tensors(file)
        assert all(torch.equal(found[name], value) for name, value in tensors.items())
    assert read_header(best)["step"] == whole[2]["step"]
    assert read_header(best)["metrics"] == whole[2]["metrics"]
    assert (run / ".mine.tmp").exists()
    assert [name for name in os.listdir(run) if name.endswith(".tmp")] == [".mine.tmp"]


def scores(monkeypatch: pytest.MonkeyPatch, values: Mapping[int, float]) -> None:
    """Let validations find these scores, by step."""
    found = lambda self, other: UPDATE(self, {**other, "miou": values[self.step]})  # noqa: E731
    monkeypatch.setattr(Progress, "update", found)


def test_best_and_the_newest_checkpoints_remain_and_a_worse_validation_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("trainer.valid_every=0.33", "trainer.keep_last=2")
    scores(monkeypatch, {1: 0.9, 2: 0.5, 3: 0.6, 4: 0.4, 5: 0.3, 6: 0.2, 7: 0.1})
    assert running.train(tmp_path, *words, "trainer.max_steps=6") == 0
    best = tmp_path / "best.safetensors"
    before = best.stat().st_mtime_ns, best.read_bytes()
    allowed = ("trainer.max_steps=7", f"trainer.resume={tmp_path}", "trainer.allow=[trainer.max_steps]")
    assert running.train(tmp_path, *words, *allowed) == 0
    assert sorted(os.listdir(tmp_path / "checkpoints")) == ["6", "7"]
    assert read_header(best)["step"] == 1
    assert (best.stat().st_mtime_ns, best.read_bytes()) == before


def test_best_weights_of_a_lost_validation_give_way_to_those_of_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("trainer.valid_every=0.33", "trainer.max_steps=3")
    scores(monkeypatch, {1: 0.5, 2: 0.4, 3: 0.9})
    assert running.train(tmp_path, *words) == 0
    best = tmp_path / "best.safetensors"
    assert read_header(best)["step"] == 3
    (tmp_path / "checkpoints" / "3" / MANIFEST).unlink()  # an older one is taken
    shutil.copy(best, tmp_path / "of_3.safetensors")
    scores(monkeypatch, {2: 0.4, 3: 0.1})
    assert running.train(tmp_path, *words, f"trainer.resume={tmp_path}") == 0
    assert read_header(best)["step"] == 1
    assert read_header(best)["metrics"]["miou"] == 0.5
    assert atomic.digest(best) == atomic.digest(tmp_path / "checkpoints" / "3" / BEST)


def test_an_exception_in_validation_leaves_the_checkpoint_of_its_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from densepred.engine import validator

    def fail(*arguments: object) -> None:
        raise RuntimeError("in validation")

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert running.train(whole, "trainer.max_steps=4") == 0
    with monkeypatch.context() as patch:
        patch.setattr(validator, "evaluate", fail)
        with pytest.raises(RuntimeError, match="in validation"):
            running.train(parts, "trainer.max_steps=4")
    assert read_header(parts / "last.safetensors")["step"] == 3
    assert running.train(parts, "trainer.max_steps=4", f"trainer.resume={parts}") == 0
    assert (parts / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


def test_a_lost_end_and_a_changed_line_of_the_metrics_are_refused(run: Path) -> None:
    path = run / "metrics.jsonl"
    whole = path.read_bytes()
    recorded = meta(run)["files"]["metrics.jsonl"]
    path.write_bytes(whole[: recorded - 1])
    with pytest.raises(UserError, match=rf"metrics\.jsonl: {recorded - 1} bytes, where {recorded} were recorded"):
        resumed(run)
    path.write_bytes(whole[:20] + bytes([whole[20] ^ 1]) + whole[21:])
    with pytest.raises(UserError, match=r"metrics\.jsonl: its lines differ from those that were recorded"):
        resumed(run)
    path.write_bytes(whole)
    assert resumed(run) == 0
    assert path.read_bytes() == whole


def test_the_record_of_the_checkpoint_stands_in_for_overrides_that_are_lost(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = provenance.overrides(run)
    assert whole
    for harm in (lambda: (run / "overrides.txt").write_bytes(b""), (run / "overrides.txt").unlink):
        harm()
        assert provenance.overrides(run) == whole
        assert "settings are those of checkpoint 4" in capsys.readouterr().err
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match=r"holds no run: overrides\.txt is missing"):
        provenance.overrides(run)
