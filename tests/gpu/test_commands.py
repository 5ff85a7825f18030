"""Commands on a CUDA device: every task in bf16, kills, folders of images, exports, divided state."""

from __future__ import annotations

import contextlib
import copy
import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch import nn

from densepred import distributed, predict
from densepred.engine import sharding
from tests import running
from tests.conftest import REPOSITORY, composed
from tests.engine.test_device import CHEAP, PLAIN, RUN, TASKS
from tests.gpu.test_training import evaluated, train

WAYS = ("trainer.precision=bf16", "trainer.ema=0.9", "trainer.accumulate=2", "trainer.clip=1.0")
WITHOUT_CHECKPOINTING = (*CHEAP[:1], "autoencoder", "residual")


def images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.effect_mandelbrot((64, 48), (-2, -1.5, 1 + number / 9, 1.5), 9).convert("RGB").save(
            folder / f"{number}.png"
        )
    return folder


def predicted(run: Path, source: Path, output: Path, *words: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        assert (
            predict.predict(composed(f"ckpt={run}", f"input={source}", f"output={output}", *words, name="predict")) == 0
        )


def command(module: str, *words: str) -> subprocess.Popen[str]:
    call = f"from densepred.{module} import main; main()"
    words = (sys.executable, "-c", call, *words)
    return subprocess.Popen(words, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_trains_evaluates_and_predicts_in_bfloat16(name: str, tmp_path: Path) -> None:
    ways = WAYS if name in WITHOUT_CHECKPOINTING else (*WAYS, "trainer.checkpointing=true")
    found = train(tmp_path / "run", *TASKS[name], *ways, "trainer.log_every=1")
    assert found
    assert all(map(torch.isfinite, torch.tensor(found)))
    assert evaluated(tmp_path / "run", tmp_path / "scores")
    predicted(tmp_path / "run", images(tmp_path / "images", 3), tmp_path / "out", "precision=bf16")
    assert (tmp_path / "out" / "predict.json").is_file()


def test_workers_on_a_device_write_the_files_of_one_process(tmp_path: Path) -> None:
    train(tmp_path / "run", *PLAIN)
    source = images(tmp_path / "images", 5)
    for workers in (0, 2):
        words = (f"workers={workers}", "batch_size=1")
        predicted(tmp_path / "run", source, tmp_path / str(workers), *words)
    files = sorted(path.relative_to(tmp_path / "0") for path in (tmp_path / "0").rglob("*.png"))
    assert len(files) >= 5
    for path in files:
        assert (tmp_path / "0" / path).read_bytes() == (tmp_path / "2" / path).read_bytes(), path


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    more = ("trainer.max_steps=8", "trainer.save_every=0", "trainer.pictures=0", "data.workers=0")
    words = [*(word for word in RUN if "max_steps" not in word), *PLAIN, *more]
    killed = command("train", *words, f"hydra.run.dir={tmp_path / 'parts'}")
    until = time.monotonic() + 60
    while not list((tmp_path / "parts" / "checkpoints").glob("[1-9]*")) and killed.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    resumed = command("train", *words, f"hydra.run.dir={tmp_path / 'parts'}", "trainer.resume=auto")
    train(tmp_path / "whole", *PLAIN, *more)
    text, _ = resumed.communicate()
    assert resumed.returncode == 0, text
    first, second = running.weights(tmp_path / "whole"), running.weights(tmp_path / "parts")
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_an_export_of_a_run_of_a_device_has_its_outputs(tmp_path: Path) -> None:
    train(tmp_path / "run", *PLAIN)
    # Of a fixed size, because torch 2.11 does not write odd ones.
    words = (f"ckpt={tmp_path / 'run'}", f"output={tmp_path / 'model.pt2'}", "size=[24,32]")
    process = command("commands.export", *words)
    text, _ = process.communicate()
    assert process.returncode == 0, text  # it compares the outputs of the file with those of the checkpoint
    assert (tmp_path / "model.pt2").is_file()


def test_state_that_is_divided_over_one_process_trains_as_a_whole_one(tmp_path: Path) -> None:
    """Run FSDP2's hooks, NCCL's collectives and updates by lists; one process holds all rows."""
    device = torch.device("cuda", torch.cuda.current_device())
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.GELU(), nn.Conv2d(3, 3, 3, padding=1)) for _ in range(3)]
    plain = nn.Sequential(*blocks).to(device)
    other = copy.deepcopy(plain)
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("nccl", store=store, rank=0, world_size=1, device_id=device)
    try:
        sharding.divide(other, list(other), device)
        found = []
        for model in (plain, other):
            optimizer = torch.optim.AdamW(model.parameters(), 0.01)
            for step in range(3):
                image = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(step)).to(device)
                model(image).square().mean().backward()
                optimizer.step()
                optimizer.zero_grad()
            found.append([distributed.whole(value.detach()).cpu() for value in model.state_dict().values()])
    finally:
        dist.destroy_process_group()
    for one, another in zip(*found, strict=True):
        torch.testing.assert_close(one, another, rtol=1e-4, atol=1e-6)
