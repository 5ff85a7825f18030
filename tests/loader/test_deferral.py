"""Batches with `data.transform_on_device=true`: what reaches the network is equal in every bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from densepred.cli import compose
from densepred.codec.semantic import Semantic
from densepred.contracts import Dataset
from densepred.errors import UserError
from densepred.jobs import on_device, parts
from densepred.loader import cache, loaders, samples
from densepred.ops.geometry import deferral, recolour, warp
from densepred.ops.geometry.deferred import DeferredImages
from densepred.transform.colour import Colour
from densepred.transform.crop import Crop
from densepred.transform.flip import Flip
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, Info, Sample
from tests import running
from tests.conftest import composed

CPU = torch.device("cpu")
ON = "data.transform_on_device=true"
POSE = ("task=pose", "model=encoder_decoder", "decoder=unet", "encoder.widths=[4,8,8,8]", "transform=pose")


def loader(*words: str, data: Dataset | None = None) -> loaders.TrainingLoader:
    drawn = ("dataset.size=[24,32]", "dataset.counts={train: 10, valid: 3, test: 3}", "data.batch_size=4")
    given = ("data.workers=0", "data.crop=[16,24]", "encoder=plain", "encoder.widths=[4,8]")
    kept = [word for word in given if word.partition("=")[0] not in {other.partition("=")[0] for other in words}]
    settings = compose.settings(composed(*drawn, *kept, *words))
    train = parts.dataset(settings.dataset, "train") if data is None else data
    task, _ = parts.task_and_model(settings.task, settings.model, train.info)
    augment = parts.pipeline(settings.transform["train"], train.info, "train", task.codec)
    return parts.training_loader(train, augment, task.codec, settings.data, settings.seed, CPU)


def content(batches: Any) -> list[tuple]:
    """Return what `Batch.to` makes of batches."""
    moved = [batch.to(CPU) for batch in batches]
    targets = [{name: value.numpy().tobytes() for name, value in batch.targets.items()} for batch in moved]
    return [
        (batch.image.numpy().tobytes(), batch.image.shape, one, repr(batch.frames), batch.skipped, batch.missed)
        for batch, one in zip(moved, targets, strict=True)
    ]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("data.crop=null",),
        ("transform=elastic",),
        ("transform=copy_paste",),
        ("data.foreground=1.0",),
        ("data.balance=classes",),
        POSE,
    ],
    ids=str,
)
def test_batches_are_equal_with_and_without_workers(words: tuple[str, ...]) -> None:
    expected = content(loader(*words).epoch(1))
    assert expected
    for workers in (0, 2):
        one = loader(*words, ON, f"data.workers={workers}")
        batches = list(one.epoch(1))
        assert all(isinstance(batch.image, DeferredImages) for batch in batches)
        assert content(batches) == expected
        one.close()


def test_an_epoch_is_entered_at_any_batch() -> None:
    assert content(loader(ON).epoch(2, start=1)) == content(loader().epoch(2))[1:]


def test_samples_that_are_kept_decoded_are_deferred_too() -> None:
    settings = compose.settings(composed("dataset.size=[24,32]", "dataset.counts={train: 10, valid: 3, test: 3}"))
    kept = cache.cached(parts.dataset(settings.dataset, "train"), "ram", 0)
    assert content(loader(ON, data=kept).epoch(0)) == content(loader().epoch(0))


def test_pictures_of_training_samples_are_images() -> None:
    found = loader(ON).first(3)
    for one, other in zip(found, loader().first(3), strict=True):
        assert one.image.dtype == torch.uint8
        assert torch.equal(one.image, other.image)


class Depths(Dataset):
    """Images as bytes and as floats in turn; the second one cannot be read."""

    info = Info(classes=("a", "b"))

    def __len__(self) -> int:
        return 200

    def __getitem__(self, index: int) -> Sample:
        if index == 1:
            raise UserError("1.png is damaged")
        draw = torch.Generator().manual_seed(index)
        image = torch.randint(0, 256, (3, 20, 30), dtype=torch.uint8, generator=draw)
        truth = Annotation((20, 30), semantic=(image[0] > 0).byte())
        return Sample(image / 255 if index % 2 else image, truth, Frame(str(index), (20, 30)))


def depths(defer: bool, skip: bool = True) -> loaders.TrainingLoader:
    augment = Pipeline([Crop((16, 24), 0.5, 2.0), Flip(0.5), Colour()])
    more = {"defer": augment.defer} if defer else {}
    found = samples.TrainingSamples(Depths(), augment, Semantic(Depths.info), 0, skip, **more)  # pyright: ignore[reportArgumentType]
    return loaders.TrainingLoader(found, loaders.Order(200, 50, 0, True), 0, 0, False)


def test_depths_in_one_batch_and_samples_that_replace_damaged_ones() -> None:
    plain, later = depths(False), depths(True)
    assert content(later.epoch(0)) == content(plain.epoch(0))
    assert later.facts() == plain.facts() == ["left out: 1.png is damaged"]


def test_an_error_of_a_sample_is_raised_as_before() -> None:
    with pytest.raises(UserError, match=r"^1\.png is damaged$"):
        list(depths(True, skip=False).epoch(0))


def test_images_of_several_sizes_name_the_remedy() -> None:
    items = [
        samples.Item(deferral.deferred(torch.zeros(1, 2, n, dtype=torch.uint8), None), {}, Frame("a", (2, n)))
        for n in (2, 3)
    ]
    with pytest.raises(UserError, match=r"\(2, 2\) and \(2, 3\); set 'data.crop"):
        samples.stack(items)


def test_crops_that_are_drawn_again_are_not_warped(monkeypatch: pytest.MonkeyPatch) -> None:
    warped = list[int]()
    for module, name in ((deferral, "read"), (deferral, "warp_image"), (warp, "read"), (recolour, "recolour")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, _r=real, **k: warped.append(1) or _r(*a, **k))
    one = loader(ON, "data.foreground=1.0", "data.crop=[4,4]")
    draws = list[int]()
    defer = one.samples.defer
    assert defer is not None
    one.samples.defer = lambda *a: draws.append(1) or defer(*a)
    list(one.epoch(0))
    assert len(warped) <= 10 < len(draws)


def test_a_batch_is_one_buffer_that_is_pinned_and_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = next(iter(loader(ON).epoch(0)))
    images = batch.image
    assert isinstance(images, DeferredImages)
    tensors = [field.name for field in dataclasses.fields(images) if isinstance(getattr(images, field.name), Tensor)]
    assert tensors == ["buffer"]
    monkeypatch.setattr(Tensor, "pin_memory", lambda self: self + 0)
    pinned = batch.pin_memory()
    assert isinstance(pinned.image, DeferredImages)
    assert pinned.image.buffer is not images.buffer
    assert content([pinned]) == content([batch])


def test_a_task_of_images_is_refused() -> None:
    with pytest.raises(UserError, match=r"^data\.transform_on_device=true: this task makes .* remove it$"):
        loader("task=autoencoder", "model=autoencoder", ON, "data.crop=null")


def test_a_codec_that_damages_images_is_refused() -> None:
    class Damaging(Semantic):
        def corrupt(self, image: Tensor, generator: torch.Generator) -> Tensor:
            return image

    settings = compose.settings(composed(ON)).data
    augment = Pipeline([Colour()])
    assert on_device.deferring(augment, Semantic(Depths.info), settings) == augment.defer
    with pytest.raises(UserError, match=r"^data\.transform_on_device=true: this task"):
        on_device.deferring(augment, Damaging(Depths.info), settings)


def told(folder: Path, *words: str) -> list[str]:
    assert running.train(folder, "trainer.max_steps=1", "data.crop=[16,24]", *words) == 0
    return [line for line in (folder / "train.log").read_text().splitlines() if "transform_on_device" in line]


def test_a_run_tells_what_runs_where(tmp_path: Path) -> None:
    found = told(tmp_path / "default", ON)
    assert found == [
        "data.transform_on_device=true: of training images the device computes Crop, Flip and Colour; loader workers "
        "compute shifts by whole pixels, resizes of whole images, and all of labels",
        "warning: data.transform_on_device=true: without an accelerator the training process computes what its loader "
        "workers could; remove it",
    ]
    assert (
        "computes Colour; loader workers compute Crop, Flip and CutMix, shifts"
        in told(tmp_path / "cutmix", ON, "transform=cutmix")[0]
    )
    assert told(tmp_path / "off") == []


@pytest.mark.parametrize(("option", "fact"), [("strong", "ends with Noise"), ("none", "is empty")])
def test_a_run_tells_if_nothing_is_left_for_the_device(option: str, fact: str, tmp_path: Path) -> None:
    (found,) = told(tmp_path, ON, f"transform={option}")
    assert found.startswith(f"warning: data.transform_on_device=true: has no effect: transform.train {fact}, and")


def numbers(folder: Path) -> tuple[bytes, list[bytes]]:
    weights = running.weights(folder)
    return (folder / "metrics.jsonl").read_bytes(), [weights[name].numpy().tobytes() for name in sorted(weights)]


@pytest.mark.parametrize("words", [(), ("trainer.accumulate=2",)], ids=str)
def test_a_run_is_equal_in_every_bit_and_so_is_a_resumed_one(words: tuple[str, ...], tmp_path: Path) -> None:
    words = ("data.crop=[16,24]", "scheduler=constant", *words)
    for folder, more in {"plain": (), "device": (ON,)}.items():
        assert running.train(tmp_path / folder, "trainer.max_steps=4", *words, *more) == 0
    assert numbers(tmp_path / "device") == numbers(tmp_path / "plain")
    part = tmp_path / "part"
    assert running.train(part, "trainer.max_steps=2", *words, ON) == 0
    more = (f"trainer.resume={part}", "trainer.allow=[trainer.max_steps]")
    assert running.train(part, "trainer.max_steps=4", *words, ON, *more) == 0
    assert numbers(part)[1] == numbers(tmp_path / "plain")[1]


def test_a_resumed_run_does_not_change_the_place_unasked(tmp_path: Path) -> None:
    assert running.train(tmp_path, "trainer.max_steps=1") == 0
    with pytest.raises(
        UserError, match=r"data\.transform_on_device: the run began with false and would go on with true"
    ):
        running.train(tmp_path, "trainer.max_steps=1", ON, f"trainer.resume={tmp_path}")
