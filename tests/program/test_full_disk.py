"""Commands that write to a disk that is full, or takes no files: one line with the name of a file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from densepred.rundir.checkpoints import Checkpoints
from tests import forked, running
from tests.running import TINY

SCENES = ("dataset=shapes", "dataset.size=[24,32]", "dataset.counts={train: 6, valid: 3, test: 3}")
COMMANDS = {
    "train": (*TINY, "trainer.epochs=2", "hydra.run.dir=disk/out"),
    "eval": ("ckpt=run", "output=disk/out"),
    "predict": ("ckpt=run", "input=in", "output=disk/out", "probabilities=true"),
    "import_": ("input=weights.pth", "output=disk/out.safetensors"),
    "export": ("ckpt=run", "output=disk/out.pt2"),
    "convert": (*SCENES, "output=disk/out"),
    "report": ("runs=run", "output=disk/out"),
    "check": (*SCENES, "data.workers=0", "html=disk/out.html"),
}
ROOMS = {"train": 115_000, "eval": 60_000, "predict": 170_000, "export": 1_500_000, "convert": 88_000}
"""Bytes of space, of which the command needs more; 8 kB for the others."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, images and weights to read."""
    folder = tmp_path_factory.mktemp("disk")
    assert running.train(folder / "run", "trainer.max_steps=2") == 0
    (folder / "in").mkdir()
    for number in range(3):
        Image.effect_noise((64, 64), 90).convert("RGB").save(folder / f"in/{number}.png")
    torch.save(torch.nn.Conv2d(3, 64, 7).state_dict(), folder / "weights.pth")
    (folder / "disk").mkdir()
    return folder


@pytest.fixture
def disk(place: Path) -> Iterator[Path]:
    """A disk of 8 MB, in memory."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place / "disk")]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    yield place / "disk"
    subprocess.run(["umount", str(place / "disk")], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("state", ["full", "nearly full", "read-only"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_disk_that_takes_no_more_is_one_error_with_the_name_of_the_file(
    disk: Path, place: Path, command: str, state: str
) -> None:
    room = 0 if state == "full" else ROOMS.get(command, 8_000)
    space = os.statvfs(disk)
    (disk / "filler").write_bytes(bytes(space.f_bavail * space.f_frsize - room // 4096 * 4096))
    if state == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    code, _, err = forked.run(command, *COMMANDS[command], folder=place)
    lines = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert code == 2, err
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert "disk/out" in lines[0]
    assert ".tmp" not in err
    fact = "read-only file system" if state == "read-only" else "free some space"
    assert fact in lines[0]
    if command == "train" and state == "nearly full":
        assert Checkpoints(disk / "out/checkpoints").newest() is not None
