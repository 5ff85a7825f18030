"""Decoded samples in one file: equal in every bit, shared by workers, refused where they do not fit."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.contracts import Dataset
from densepred.errors import UserError
from densepred.loader import cache
from densepred.types import Annotation, Frame, Info, Sample
from tests import running


class Mixed(Dataset):
    """Samples of several sizes and types; the second cannot be read."""

    def __init__(self) -> None:
        self.info, self.reads = Info(classes=("a", "b")), 0

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        self.reads += 1
        if index == 1:
            raise UserError("b.png: is damaged; remove it")
        generator = torch.Generator().manual_seed(index)
        size = (5 + index, 7)
        image = torch.rand((3, *size), generator=generator)
        if index != 2:
            image = (image * 255).byte()
        truth = Annotation(
            size,
            semantic=torch.randint(0, 2, size, generator=generator).byte(),
            instances=torch.randint(0, 9, size, generator=generator).int(),
            ignore=torch.rand(size, generator=generator) > 0.5,
            boxes=torch.rand((index, 4), generator=generator),
        )
        return Sample(image, truth, Frame(f"{index}.png", size))


def assert_equal(one: Sample, other: Sample) -> None:
    assert one.frame == other.frame
    for field in fields(Annotation):
        first, second = (getattr(sample.truth, field.name) for sample in (one, other))
        assert torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    assert one.image.dtype == other.image.dtype
    assert torch.equal(one.image, other.image)


@pytest.mark.parametrize("kind", cache.FOLDERS)
@pytest.mark.parametrize("workers", [0, 2])
def test_samples_come_back_in_every_bit_and_are_read_once(kind: str, workers: int) -> None:
    dataset = Mixed()
    found = cache.cached(dataset, kind, workers)
    reads = dataset.reads
    for index in (0, 2, 3, 3, 0):
        assert_equal(found[index], Mixed()[index])
    assert dataset.reads == reads
    assert found.size == sum(cache.pixel_bytes(Mixed()[index]) for index in (0, 2, 3))
    with pytest.raises(UserError, match=r"b\.png: is damaged"):
        found[1]


def test_a_transform_that_writes_into_a_sample_changes_no_other() -> None:
    found = cache.cached(Mixed(), "ram", 0)
    for index in (0, 2, 3):
        sample = found[index]
        sample.image.zero_()
        for value in sample.truth.rows().values():
            value.zero_() if isinstance(value, torch.Tensor) else value.clear()
        assert_equal(found[index], Mixed()[index])


def first_pixels(found: cache.Cached, pipe: Any) -> None:
    pipe.send([found[index].image.flatten()[:4].tolist() for index in (0, 2, 3)])


@pytest.mark.parametrize("method", ["fork", pytest.param("forkserver", marks=pytest.mark.slow)])
def test_processes_of_every_start_method_map_the_same_file(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    found = cache.cached(Mixed(), "disk", 0)
    mine, theirs = context.Pipe()
    worker = context.Process(target=first_pixels, args=(found, theirs))
    worker.start()
    assert mine.recv() == [found[index].image.flatten()[:4].tolist() for index in (0, 2, 3)]
    worker.join()


def test_the_file_has_no_name_that_a_kill_could_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    found = cache.cached(Mixed(), "disk", 0)
    assert found.size > 0
    assert os.fstat(found.file.fileno()).st_dev == tmp_path.stat().st_dev
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", cache.FOLDERS)
def test_what_does_not_fit_is_refused_with_its_size(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = cache.estimated(Mixed())
    true = sum(cache.pixel_bytes(Mixed()[index]) for index in (0, 2, 3)) / 3 * 4
    assert needed == round(true)
    monkeypatch.setattr(cache, "free_bytes", lambda kind, folder: needed)
    cache.require([Mixed()], kind)
    with pytest.raises(UserError, match=rf"data\.cache={kind}: the decoded samples take about .* has room for"):
        cache.require([Mixed(), Mixed()], kind)


def test_space_that_runs_out_meanwhile_ends_the_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "EVERY", 1)
    monkeypatch.setattr(cache, "free_bytes", lambda kind, folder: 10)
    with pytest.raises(UserError, match=r"data\.cache=ram"):
        cache.cached(Mixed(), "ram", 0)


def test_a_cached_training_is_equal_in_every_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, words in {"plain": (), "cached": ("data.cache=ram",)}.items():
        assert running.train(tmp_path / folder, "trainer.epochs=2", "data.workers=0", *words) == 0
    assert "data.cache=ram: decoded samples are kept in /dev/shm: 10 train images, 0.0614 MB; 3 valid" in (
        capsys.readouterr().out
    )
    assert (tmp_path / "plain/metrics.jsonl").read_bytes() == (tmp_path / "cached/metrics.jsonl").read_bytes()
    one, other = (running.weights(tmp_path / folder) for folder in ("plain", "cached"))
    assert all(torch.equal(one[name], other[name]) for name in one)
