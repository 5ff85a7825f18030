"""Folders predicted by workers: the same files, bytes, notices and errors as one image after another."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from densepred import predict
from densepred.cli import compose
from densepred.errors import Notice, UserError
from densepred.jobs import training
from densepred.predictor import Predictor
from densepred.process.stop import Stopped
from densepred.results import in_parallel
from densepred.types import Annotation
from tests import running
from tests.conftest import composed
from tests.dataset.files import write

SIZES = ((24, 32), (24, 32), (40, 24), (24, 32), (24, 32), (24, 32))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images, of which three in a row have one size, and a file that is none."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    for number, size in enumerate(SIZES):
        place = folder / ("sub" if number == 4 else "") / f"{number}.png"
        write(place, generator.integers(0, 256, (*size, 3), np.uint8))
    (folder / "3b.png").write_text("no image")
    return folder


@pytest.fixture(scope="module")
def semantic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("semantic")
    running.train(folder, "trainer.max_steps=1")
    return folder


def predicted(run: Path, images: Path, output: Path, *words: str) -> dict[str, bytes]:
    """Return the files that the command writes, with their bytes."""
    words = (f"ckpt={run}", f"input={images}", f"output={output}", "threads=1", *words)
    assert predict.predict(composed(*words, name="predict")) == predict.PARTIAL
    files = {str(path.relative_to(output)): path for path in output.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items()}


@pytest.mark.parametrize("around", [False, True], ids=["in workers", "around this process"])
def test_workers_write_the_same_bytes(
    semantic: Path,
    images: Path,
    tmp_path: Path,
    around: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["probabilities=true", "uncertainty=true"]
    expected = predicted(semantic, images, tmp_path / "out", *words, "workers=0")
    alone = capsys.readouterr()
    (tmp_path / "out").rename(tmp_path / "alone")
    monkeypatch.setattr(in_parallel, "_central", lambda predicting: around)
    assert predicted(semantic, images, tmp_path / "out", *words, "workers=2") == expected
    assert len(expected) == 2 + 4 * len(SIZES)
    assert capsys.readouterr() == alone
    assert "3b.png" in alone.err


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_of_equal_images_give_the_same_labels(
    semantic: Path, images: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = predicted(semantic, images, tmp_path / "out", "workers=0")
    (tmp_path / "out").rename(tmp_path / "alone")
    found = in_parallel.Predicting.find
    sizes: list[int] = []

    def find(self: in_parallel.Predicting, batch: list[Any]) -> list[in_parallel.Found]:
        sizes.append(len(batch))
        return found(self, batch)

    monkeypatch.setattr(in_parallel.Predicting, "find", find)
    assert predicted(semantic, images, tmp_path / "out", "batch_size=2", f"workers={workers}") == expected
    assert sizes == [2, 1, 1, 2]


def test_an_image_that_does_not_fit_fails_alone_in_a_batch(
    semantic: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch that does not fit is predicted image by image."""
    found = Predictor.together

    def full(self: Predictor, pixels: list[Any], *options: Any) -> list[Annotation]:
        if len(pixels) > 1 or pixels[0].shape[1] == 40:
            raise RuntimeError("CUDA out of memory")
        return found(self, pixels, *options)

    monkeypatch.setattr(Predictor, "together", full)
    files = predicted(semantic, images, tmp_path / "out", "batch_size=2", "workers=0")
    assert sum(name.startswith("labels") for name in files) == len(SIZES) - 1
    assert "2.png: memory ran out; try tile=512" in capsys.readouterr().err


def test_joint_files_and_notices_are_the_same(images: Path, tmp_path: Path) -> None:
    running.train(tmp_path / "run", "task=panoptic", "trainer.max_steps=1")
    words = ("threshold=1.0", "++codec.max_detections=1", "++codec.threshold=0.0")
    told = []
    for workers in (["workers=0"], ["workers=2"]):
        with pytest.warns(Notice) as notices:
            predicted(tmp_path / "run", images, tmp_path / "out", *words, *workers)
        told.append(sorted(str(one.message) for one in notices))
        (tmp_path / "out").rename(tmp_path / f"out{len(told)}")
    assert told[0] == told[1]
    for name in ("instances.json", "panoptic.json", "images.json"):
        assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes()


def test_latents_of_all_workers_make_one_table(images: Path, tmp_path: Path) -> None:
    words = ("dataset.size=[16,24]", "dataset.counts={train: 4, valid: 1, test: 1}", "trainer.pictures=0")
    model = ("task=autoencoder", "model=pca", "model.patch=[8,8]", "model.latent_channels=2")
    training.work(running.bare_job(tmp_path / "run", *words, *model))
    tables = []
    for workers in (0, 2):
        files = predicted(tmp_path / "run", images, tmp_path / f"out{workers}", "latents=true", f"workers={workers}")
        tables.append(files["latents.csv"])
    assert tables[0] == tables[1]
    assert len(tables[0].splitlines()) == 1 + len(SIZES)


def killed(*arguments: Any) -> None:
    if os.getpid() != MAIN:
        os.kill(os.getpid(), signal.SIGKILL)


MAIN = os.getpid()


def test_a_killed_worker_is_an_error_that_names_its_key(
    semantic: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_parallel.Predicting, "__call__", killed)
    with pytest.raises(UserError, match=r"worker was killed.*lower workers or batch_size"):
        predicted(semantic, images, tmp_path / "out", "workers=1")


def test_a_full_disk_ends_the_command_at_once(
    semantic: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, work: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(in_parallel.Predicting, "__call__", full)
    with pytest.raises(UserError, match="no space left on device; free some space"):
        predicted(semantic, images, tmp_path / "out", "workers=1")


def test_a_signal_ends_the_workers_and_leaves_no_half_files(
    semantic: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(predicting: Any, outcome: Any) -> None:
        raise Stopped

    def slow(self: Any, work: Any) -> None:
        (tmp_path / f"out/.{work.number}.png.host.abc.tmp").write_text("half")
        if work.number > 1:
            signal.pause()

    monkeypatch.setattr(in_parallel, "_join", stop)
    monkeypatch.setattr(in_parallel.Predicting, "__call__", slow)
    with pytest.raises(Stopped):
        predicted(semantic, images, tmp_path / "out", "workers=2")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predict.json"]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("threads", "size", "count", "words", "expected"),
    [
        (2, (24, 32), 4, (), 2),
        (1, (24, 32), 4, (), 0),
        (2, (24, 32), 3, (), 0),
        (2, (520, 520), 4, (), 0),
        (2, (520, 520), 4, ("workers=3",), 3),
        (2, (24, 32), 4, ("tile=16",), 0),
    ],
)
def test_the_number_of_workers_follows_threads_and_images(
    tmp_path: Path, threads: int, size: tuple[int, int], count: int, words: tuple[str, ...], expected: int
) -> None:
    write(tmp_path / "0.png", np.zeros((*size, 3), np.uint8))
    settings = compose.settings(composed("ckpt=none", *words, name="predict"))
    model: Any = SimpleNamespace(device=torch.device("cpu"))
    former = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert in_parallel.number(model, settings, [tmp_path / "0.png"] * count, mapped=False) == expected
    finally:
        torch.set_num_threads(former)
