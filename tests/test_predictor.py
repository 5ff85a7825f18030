"""The predictor: any kind of picture, windows, mirrored and scaled views, always on the image's own grid."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from densepred import predictor
from densepred.build.instantiate import build
from densepred.dataset.shapes import Shapes
from densepred.engine.amp import Precision
from densepred.errors import Notice, UserError
from densepred.jobs import parts
from densepred.ops.boxes import from_ids
from densepred.ops.geometry.warp import Warp, scaling, warp_image
from densepred.predictor import Predictor
from densepred.results.predicting import one
from densepred.settings import PredictSettings
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Info
from tests import running


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    running.train(folder, "trainer.max_steps=2")
    return folder


@pytest.fixture(scope="module")
def model(run: Path) -> Predictor:
    return predictor.load(run)


def pixels(height: int = 37, width: int = 45) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_paths_images_arrays_and_tensors_give_the_same(model: Predictor, tmp_path: Path) -> None:
    array = pixels()
    Image.fromarray(array).save(tmp_path / "a.png")
    expected = model(array).semantic
    kinds = (
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        Image.fromarray(array),
        torch.from_numpy(array).permute(2, 0, 1),
        array.astype(np.float32) / 255,
        (array.astype(np.uint16) * 257),
    )
    assert expected.shape == (37, 45)
    for picture in kinds:
        assert torch.equal(model(picture).semantic, expected), type(picture)


def test_grey_images_are_shown_to_a_colour_model(model: Predictor) -> None:
    grey = pixels()[..., 0]
    assert torch.equal(model(grey).semantic, model(np.stack([grey] * 3, 2)).semantic)


def test_pixels_that_were_read_are_not_mapped_by_the_window_again(run: Path, tmp_path: Path) -> None:
    model = predictor.load(run)
    model.task.info = dataclasses.replace(model.info, window=(500.0, 3000.0))
    values = pixels().astype(np.float32) * 8
    expected = model(values, probabilities=True).probabilities
    read = model.read(values)
    assert expected is not None
    assert torch.equal(one(model, read, PredictSettings(probabilities=True), None).need("probabilities"), expected)
    assert not torch.equal(model(read, probabilities=True).need("probabilities"), expected)


@pytest.mark.parametrize("size", [(4, 4), (37, 45), (64, 33), (129, 70)])
def test_every_size_comes_back(model: Predictor, size: tuple[int, int]) -> None:
    middles = {"tile": 24, "blend": "none"}
    for options in (
        {},
        {"tile": 32},
        {"flip": True, "scales": (0.5, 1.0, 1.5)},
        {"tile": 16, "overlap": 0.25},
        middles,
    ):
        assert model(pixels(*size), **options).semantic.shape == size


def test_one_window_as_large_as_the_image_is_the_image(model: Predictor) -> None:
    whole = model(pixels(), probabilities=True).probabilities
    assert torch.allclose(model(pixels(), tile=64, probabilities=True).probabilities, whole, atol=1e-6)


def test_windows_agree_with_the_whole_image_where_they_see_enough_of_it(model: Predictor) -> None:
    image = pixels(120, 120)
    whole, tiled = (model(image, probabilities=True, **o).probabilities for o in ({}, {"tile": 96, "overlap": 0.75}))
    assert (whole - tiled).abs()[:, 40:80, 40:80].max() < 0.02
    assert torch.allclose(tiled.sum(0), torch.ones(120, 120), atol=1e-5)


def test_averaging_with_the_mirror_image_makes_the_prediction_symmetric(model: Predictor) -> None:
    image = pixels(32, 32)
    one = model(image, flip=True, probabilities=True).probabilities
    other = model(np.ascontiguousarray(image[:, ::-1]), flip=True, probabilities=True).probabilities
    assert torch.allclose(one, other.flip(-1), atol=1e-5)
    assert not torch.allclose(model(image, probabilities=True).probabilities, one, atol=1e-3)


@pytest.mark.parametrize("scale", [0.25, 0.6])
def test_smaller_views_are_shrunk_as_training_shrinks_images(
    model: Predictor, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    whole = model._forward
    monkeypatch.setattr(model, "_forward", lambda x, run=None: seen.append(x) or whole(x, run))
    image = pixels(80, 60)
    model(image, scales=(scale,))
    size = (round(80 * scale), round(60 * scale))
    want = warp_image(torch.from_numpy(image).permute(2, 0, 1) / 255, Warp(scaling((80, 60), size), size))
    torch.testing.assert_close(seen[0][0], want, rtol=0, atol=1e-6)


def test_probabilities_belong_to_the_labels(model: Predictor) -> None:
    found = model(pixels(), flip=True, probabilities=True)
    assert torch.equal(found.probabilities.argmax(0).to(torch.uint8), found.semantic)


def test_a_binary_model_with_one_channel_predicts_both_classes(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for index in range(4):
            array = pixels(24, 32)
            Image.fromarray(array).save(folder / "images" / split / f"{index}.png")
            mask = (array[..., 0] > 128).astype(np.uint8)
            Image.fromarray(mask).save(folder / "masks" / split / f"{index}.png")
    words = ("model=unet", "encoder.widths=[8,8]", "dataset=folder", f"dataset.root={folder}", "loss=ce_dice")
    words += ("task.codec.sigmoid=true", "trainer.max_steps=60", "data.batch_size=4", "trainer.pictures=0")
    words += ("optimizer.lr=0.02", "transform=none", "trainer.valid_every=1000")
    from densepred.jobs import training

    assert training.work(running.bare_job(tmp_path / "run", *words)) == 0
    model = predictor.load(tmp_path / "run")
    assert model.task.heads["semantic"].channels == 1
    image = pixels(24, 32)
    truth = torch.from_numpy((image[..., 0] > 128).astype(np.uint8))
    for options in ({}, {"flip": True, "tile": 16}):
        assert (model(image, **options).semantic == truth).float().mean() > 0.9


def test_the_transform_of_the_validation_is_applied_and_undone(tmp_path: Path) -> None:
    running.train(tmp_path, "trainer.max_steps=2", "transform=resize", "data.crop=[24,32]")
    model = predictor.load(tmp_path)
    seen = []
    model.model.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape)))
    found = model(pixels(37, 45))
    assert seen == [(1, 3, 24, 32)]
    assert found.semantic is not None
    assert found.semantic.shape == (37, 45)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give the folder of a run"):
        predictor.load(tmp_path)


def test_centers_of_windows_with_enough_context_equal_the_whole_image(model: Predictor) -> None:
    image = pixels(72, 56)
    whole, tiled = (
        model(image, probabilities=True, **options).probabilities
        for options in ({}, {"tile": 64, "overlap": 0.75, "blend": "none"})
    )
    inside = (..., slice(24, -24), slice(24, -24))  # at the edges of the image zeros are not its mirror image
    assert torch.allclose(tiled[inside], whole[inside], atol=1e-6)
    assert not torch.allclose(tiled, whole, atol=1e-3)


@pytest.mark.parametrize("upsample", ["transposed", "nearest", "unpool"])
def test_overlapping_tiles_of_a_model_without_padding_give_exactly_what_the_whole_image_gives(
    plain, upsample: str
) -> None:
    """With whole numbers for weights and pixels no order of adding up can change a digit."""
    words = ("model=unet_first", "model.width=2", f"upsample={upsample}", "dataset=shapes", "dataset.size=[8,8]")
    nodes = plain(*words)
    info = Info(classes=("a", "b"), mean=(0.0,) * 3, std=(1.0,) * 3)
    task = build(nodes["task"], None, "task", info=info)
    statistics = {"channels": 3, "mean": info.mean, "std": info.std}
    net = build(nodes["model"], None, "model", heads=task.heads, **statistics)
    torch.manual_seed(0)
    for value in net.parameters():
        value.data = torch.randint(-1, 2, value.shape).to(value.dtype)
    cpu = torch.device("cpu")
    found = Predictor(net.double(), task, Pipeline([]), cpu, Precision("fp32", cpu))
    image = (pixels(40, 100) // 128) * 255
    whole = found(image, probabilities=True)
    for tile in (204, 260, 400):
        seen: list[tuple[int, ...]] = []
        net.heads["semantic"].register_forward_hook(lambda _, __, out, seen=seen: seen.append(tuple(out.shape[-2:])))
        tiled = found(image, tile=tile, blend="none", probabilities=True)
        assert len(seen) == {204: 3 * 7, 260: 2, 400: 1}[tile]
        assert torch.equal(tiled.semantic, whole.semantic)
        assert torch.allclose(tiled.probabilities, whole.probabilities, atol=1e-6)
    assert whole.semantic.unique().tolist() == [0, 1]
    with pytest.raises(UserError, match="tile: 200; windows of this model lose 184 pixels: give at least 204"):
        found(image, tile=200, blend="none")


def test_instances_in_several_batches_are_those_of_one_batch(plain, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("task=pose", "model=encoder_decoder", "decoder=unet", "encoder.widths=[4,8,8,8]", "data.crop=[32,24]")
    nodes = plain(*words, "dataset=shapes")
    data = Shapes("valid", size=(48, 64))
    task = build(nodes["task"], None, "task", info=data.info)
    statistics = {"channels": 3, "mean": data.info.mean, "std": data.info.std}
    torch.manual_seed(0)
    net = build(nodes["model"], None, "model", heads=task.heads, **statistics)
    cpu = torch.device("cpu")
    found = Predictor(
        net, task, parts.pipeline(nodes["transform"]["valid"], data.info, "valid"), cpu, Precision("fp32", cpu)
    )
    boxes = Annotation((48, 64), boxes=torch.tensor([[x, 3.0, x + 16, 40.0] for x in (0.0, 10.0, 20.0, 30.0, 40.0)]))
    whole = found(data[0].image, boxes=boxes).need("keypoints")
    monkeypatch.setattr(predictor, "TOGETHER", 2)
    torch.testing.assert_close(found(data[0].image, boxes=boxes).need("keypoints"), whole)
    assert len({tuple(row) for row in whole[:, 0].tolist()}) == 5  # the instances differ


@pytest.mark.parametrize("size", [(37, 45), (1, 6)])
def test_an_image_as_one_box_ends_at_the_outer_edges_of_its_pixels(size: tuple[int, int]) -> None:
    found = predictor.whole(size)
    assert found.size == size
    assert torch.equal(found.boxes, from_ids.boxes(torch.ones(size, dtype=torch.int32), 1))


def test_an_unknown_way_to_blend_is_refused(model: Predictor) -> None:
    with pytest.raises(UserError, match="unknown blend: gaussain; did you mean gaussian"):
        model(pixels(), tile=16, blend="gaussain")


def test_settings_of_the_codec_take_the_place_of_the_trained_ones(tmp_path: Path) -> None:
    running.train(tmp_path, "task=instance_components", "model=unet", "trainer.max_steps=1")
    everything = predictor.load(tmp_path, codec={"threshold": 1e-6, "min_area": 1})(pixels())
    nothing = predictor.load(tmp_path, codec={"threshold": 1.0})(pixels())
    assert everything.instances is not None
    assert nothing.instances is not None
    assert (int(everything.instances.min()), int(nothing.instances.max())) == (1, 0)


def test_a_call_tells_if_the_limit_of_the_codec_is_reached(
    model: Predictor, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    codec: Any = model.task.codec
    monkeypatch.setattr(codec, "max_detections", 7, raising=False)
    monkeypatch.setattr(codec, "full", 5, raising=False)  # left by a call that was interrupted
    model(pixels())
    assert not recwarn.list
    decode = codec.decode

    def reached(*given: Any, **options: Any) -> Any:
        codec.full += 1
        return decode(*given, **options)

    monkeypatch.setattr(codec, "decode", reached)
    with pytest.warns(Notice, match=r"codec\.max_detections=7: the image has as many predictions as it lets through"):
        model(pixels())
    model(torch.zeros(3, 20, 20), ready=True)  # as commands call it, which tell of all images at once
    assert len(recwarn.list) == 0


def test_settings_that_no_codec_has_or_that_change_the_heads_are_refused(run: Path) -> None:
    with pytest.raises(UserError, match="unknown key of codec: sigmoids; did you mean sigmoid"):
        predictor.load(run, codec={"sigmoids": True})
    with pytest.raises(UserError, match="unknown key of codec: _target_"):
        predictor.load(run, codec={"_target_": "densepred.codec.pose.Pose"})
    with pytest.raises(UserError, match="the dataset has 8 classes"):
        predictor.load(run, codec={"sigmoid": True})


def test_several_images_are_a_batch_of_their_own(model: Predictor) -> None:
    images = np.stack([pixels(), 255 - pixels()])
    expected = [model(image).semantic for image in images]
    tensor = torch.from_numpy(images).movedim(-1, 1)
    for several in (images, tensor, list(images), tuple(tensor)):
        assert all(torch.equal(a.semantic, b) for a, b in zip(model.batch(several), expected, strict=True))
    for several in (images, tensor, list(images)):
        with pytest.raises(UserError, match=r"several images; call model\.batch\(images\)"):
            model(several)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="image: NoneType"):
        model(None)  # type: ignore[arg-type]
