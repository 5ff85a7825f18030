"""Order, augmentation and batches do not depend on workers, processes or where an epoch is entered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from densepred import distributed
from densepred.cli import compose
from densepred.codec.autoencoder import Autoencoder
from densepred.codec.semantic import Semantic
from densepred.contracts import Codec, Dataset
from densepred.dataset import image_file
from densepred.engine import trainer
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.loader import loaders, samples
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Batch, Frame, Info, Sample
from tests import running
from tests.conftest import composed

CPU = torch.device("cpu")


def loader(workers: int = 0, *more: str) -> loaders.TrainingLoader:
    words = ("dataset.size=[24,32]", "dataset.counts={train: 10, valid: 3, test: 3}", "data.batch_size=4", *more)
    settings = compose.settings(composed("model=unet", f"data.workers={workers}", *words))
    train = parts.dataset(settings.dataset, "train")
    task, _ = parts.task_and_model(settings.task, settings.model, train.info)
    augment = parts.pipeline(settings.transform["train"], train.info, "train")
    return parts.training_loader(train, augment, task.codec, settings.data, settings.seed, CPU)


def content(batches: list[Batch]) -> list[tuple]:
    return [(b.image.numpy().tobytes(), b.targets["semantic"].numpy().tobytes(), b.frames) for b in batches]


def test_workers_do_not_change_the_batches() -> None:
    alone = content(list(loader(0).epoch(3)))
    for workers in (1, 2, 4):
        assert content(list(loader(workers).epoch(3))) == alone


def test_more_workers_than_processors_raise_no_warning_of_torch(recwarn: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch._utils, "cpu_count", lambda: 1)
    list(loader(2).epoch(0))
    assert not [one for one in recwarn if "worker" in str(one.message)]


def test_entering_an_epoch_at_a_batch_gives_the_rest_of_it() -> None:
    whole = content(list(loader().epoch(1)))
    assert content(list(loader().epoch(1, start=2))) == whole[2:]


def test_epochs_differ_in_order_and_augmentation() -> None:
    one = loader()
    first, second = list(one.epoch(0)), list(one.epoch(1))
    assert [f.id for b in first for f in b.frames] != [f.id for b in second for f in b.frames]
    assert sorted(f.id for b in first for f in b.frames) == sorted(f.id for b in second for f in b.frames)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_shares_of_all_processes_are_the_global_batch(monkeypatch: pytest.MonkeyPatch, world: int) -> None:
    whole = list(loaders.Order(21, 8, seed=5, drop_last=True))
    monkeypatch.setattr(distributed, "world", lambda: world)
    parts = []
    for rank in range(world):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        parts.append(list(loaders.Order(21, 8, seed=5, drop_last=True)))
    for index, batch in enumerate(whole):
        assert sorted(key for part in parts for key in part[index]) == sorted(batch)


def test_a_batch_that_does_not_divide_over_devices_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world", lambda: 2)
    with pytest.raises(UserError, match=r"data.batch_size=3 does not divide over 2 devices"):
        loaders.Order(10, 3, seed=0, drop_last=False)


def test_fewer_samples_than_a_batch_are_refused_only_when_the_rest_is_dropped() -> None:
    assert len(loaders.Order(3, 8, seed=0, drop_last=False)) == 1
    with pytest.raises(UserError, match="3 training samples make no batch of 8"):
        loaders.Order(3, 8, seed=0, drop_last=True)


class Broken:
    """A dataset with some unreadable files."""

    def __init__(self, bad: set[int], count: int = 200) -> None:
        self.bad, self.count = bad, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if index in self.bad:
            raise UserError(f"file {index} is damaged")
        image = torch.full((1, 2, 2), index, dtype=torch.uint8)
        return Sample(
            image, Annotation((2, 2), semantic=torch.zeros(2, 2, dtype=torch.uint8)), Frame(str(index), (2, 2))
        )


class Copy:
    required = ("semantic",)

    def corrupt(self, image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return image

    def encode(self, truth: Annotation) -> dict[str, torch.Tensor]:
        assert truth.semantic is not None
        return {"semantic": truth.semantic}


def broken_loader(bad: set[int], skip: bool) -> loaders.TrainingLoader:
    one = samples.TrainingSamples(Broken(bad), lambda sample, *_: sample, Copy(), 0, skip)  # type: ignore[arg-type]
    return loaders.TrainingLoader(one, loaders.Order(200, 8, 0, False), 0, 10, False)


def test_what_other_processes_left_out_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = broken_loader({7}, skip=True)
    list(loader.epoch(0))
    (own,) = loader.facts()
    loader.missed += 2
    monkeypatch.setattr(loaders.distributed, "gather", lambda value: [value, ({"file 9 is damaged"}, 3)])
    assert loader.facts()[:2] == [own, "left out: file 9 is damaged"]
    assert loader.missed == 5
    loader.facts()
    assert loader.missed == 8, "three more of the other process, none of this one again"
    monkeypatch.setattr(loaders.distributed, "gather", lambda value: [value, ({"file 8 is damaged"}, 0)])
    with pytest.raises(UserError, match="3 samples cannot be read"):
        list(loader.epoch(1))


def test_a_bad_file_stops_a_run_with_its_name() -> None:
    with pytest.raises(UserError, match="file 7 is damaged"):
        list(broken_loader({7}, skip=False).epoch(0))


def test_one_bad_file_in_two_hundred_is_skipped_and_reported() -> None:
    one = broken_loader({7}, skip=True)
    images = torch.cat([batch.image for batch in one.epoch(0)])
    assert len(images) == 200
    assert one.bad == {"file 7 is damaged"}
    assert 7 not in images


def test_more_than_a_hundredth_of_bad_files_stops_the_run() -> None:
    with pytest.raises(UserError, match=r"3 samples cannot be read, more than 1% of the dataset"):
        list(broken_loader({1, 50, 99, 150, 199}, skip=True).epoch(0))


class Starved(Broken):
    def __getitem__(self, index: int) -> Sample:
        with image_file.damage(Path("a.png")):
            raise MemoryError
        raise AssertionError


def test_an_image_that_memory_refused_is_not_left_out_as_damaged() -> None:
    one = broken_loader(set(), skip=True)
    one.samples.dataset = Starved(set())
    with pytest.raises(UserError, match=r"^a\.png: not enough memory to decode it"):
        list(one.epoch(0))


def test_images_of_several_sizes_name_the_remedy() -> None:
    items = [samples.Item(torch.zeros(1, 2, n), {}, Frame("a", (2, n))) for n in (2, 3)]
    with pytest.raises(UserError, match=r"\(2, 2\) and \(2, 3\); set 'data.crop"):
        samples.stack(items)


def test_evaluation_batches_hold_equal_sizes_only() -> None:
    items = [samples.Item(torch.zeros(1, 2, n), {}, Frame(str(n), (2, n)), Annotation((2, n))) for n in (2, 3, 2)]
    assert [tuple(batch.image.shape) for batch in samples.stack_equal(items)] == [(2, 1, 2, 2), (1, 1, 2, 3)]


def autoencoding(*more: str) -> tuple[samples.TrainingSamples, samples.EvaluationSamples]:
    words = ("dataset.size=[24,32]", "dataset.counts={train: 3, valid: 2, test: 2}", "task=autoencoder", *more)
    settings = compose.settings(composed("encoder.widths=[4,8]", *words))
    train = parts.dataset(settings.dataset, "train")
    task, _ = parts.task_and_model(settings.task, settings.model, train.info)
    augment = parts.pipeline(settings.transform["train"], train.info, "train")
    return samples.TrainingSamples(train, augment, task.codec, 0, False), samples.EvaluationSamples(
        train, augment, task.codec
    )


def test_an_image_is_its_own_target_after_every_transform() -> None:
    train, valid = autoencoding()
    item = train[0, 1]
    assert item.image.dtype == torch.uint8
    assert torch.equal(item.targets["image"], item.image.float() / 255)
    item = valid[1]
    assert torch.equal(item.truth.image, valid.dataset[1].image)
    assert not torch.equal(item.truth.image, item.image)  # the transform changes its colours


def test_damage_reaches_the_input_alone_and_is_drawn_anew_each_epoch() -> None:
    clean, _ = autoencoding("transform=none")
    noisy, valid = autoencoding("transform=none", "task.codec.noise=0.1")
    image = clean[0, 1].targets["image"]
    assert torch.equal(noisy[0, 1].targets["image"], image)
    assert 0.05 < (noisy[0, 1].image - image).std() < 0.1  # what leaves [0, 1] is clipped
    assert torch.equal(noisy[0, 1].image, noisy[0, 1].image)
    assert not torch.equal(noisy[0, 1].image, noisy[1, 1].image)
    assert torch.equal(valid[1].truth.image, valid.dataset[1].image)
    assert not torch.equal(valid[1].image, image)


def test_the_death_of_a_worker_is_one_sentence_wherever_it_is_raised(tmp_path: Path, monkeypatch: Any) -> None:
    def step(*arguments: object) -> None:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. ")

    monkeypatch.setattr(trainer.Trainer, "_backward", step)
    with pytest.raises(UserError, match="a loader worker was killed"):
        running.train(tmp_path, "trainer.max_steps=2")


class Depths(Dataset):
    """Six images as bytes, as floats, or alternately as both."""

    info = Info(classes=("a", "b"))

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> Sample:
        draw = torch.Generator().manual_seed(index)
        image = torch.randint(0, 256, (3, 8, 12), dtype=torch.uint8, generator=draw)
        if self.kind == "floats" or (self.kind == "mixed" and index % 2):
            image = image / 255
        return Sample(image, Annotation((8, 12), semantic=(image[0] > 0).byte()), Frame(str(index), (8, 12)))


@pytest.mark.parametrize(
    "codec", [Semantic(Depths.info), Autoencoder(Depths.info), Autoencoder(Depths.info, noise=0.1)]
)
def test_bytes_and_floats_in_one_batch_are_equally_bright(codec: Codec) -> None:
    def read(kind: str, size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        whole = samples.EvaluationSamples(Depths(kind), Pipeline([]), codec)
        batches = [b.to(CPU) for b in loaders.EvaluationLoader(whole, size, 0, 0, False)]
        training = samples.TrainingSamples(Depths(kind), Pipeline([]), codec, 0, False)
        batches += [
            b.to(CPU) for b in loaders.TrainingLoader(training, loaders.Order(6, size, 0, True), 0, 0, False).epoch(0)
        ]
        head = next(iter(codec.heads))
        return [(x, t) for b in batches for x, t in zip(b.image, b.targets[head], strict=True)]

    for kind in ("mixed", "bytes"):
        for size in (1, 3, 6):
            for found, expected in zip(read(kind, size), read("floats", 1 if size == 1 else size), strict=True):
                torch.testing.assert_close(found, expected, atol=1e-7, rtol=0)
    assert max(x.max() for x, _ in read("mixed", 6)) <= 1


@pytest.mark.parametrize(
    ("image", "why"), [(torch.ones(3, 8, 8).int() * 200, "int32"), (torch.ones(3, 8, 8) * 200, "200")]
)
def test_an_image_of_unknown_scale_is_refused(image: torch.Tensor, why: str) -> None:
    with pytest.raises(UserError, match=rf"a: the dataset returned .*{why}.*0 to 1"):
        samples.checked(Sample(image, Annotation((8, 8)), Frame("a", (8, 8))))


def test_a_loader_tells_what_it_left_out_and_what_it_missed() -> None:
    found = loader()
    assert found.facts() == []
    found.bad.update({"b.png: damaged", "a.png: damaged"})
    found.missed = 3
    first, second, third = found.facts()
    assert (first, second) == ("left out: a.png: damaged", "left out: b.png: damaged")
    assert third.startswith("data.foreground=0: 3 samples got no object in 20 draws")
