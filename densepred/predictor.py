"""A trained model as a function from image to annotation, for the commands and for notebooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred import distributed
from densepred.build.instantiate import build
from densepred.contracts import Model
from densepred.dataset.image import Stored, from_array, from_image, read_stored
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.intensity import white_in
from densepred.engine import ensemble, sliding
from densepred.engine.amp import Precision
from densepred.engine.flip import Heads, logits, with_mirror
from densepred.engine.flip import probabilities as head_probabilities
from densepred.engine.sliding import Windows
from densepred.errors import UserError
from densepred.exporting import session
from densepred.home import expand
from densepred.loader.crops import cut_out
from densepred.loader.seeds import random_generator
from densepred.ops.resize import resample
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, Info, Outputs, Sample, unit_scale
from densepred.weights.header import find_weights

Picture = str | Path | Image.Image | np.ndarray | Tensor


TOGETHER = 32
"""Instances of an image per batch."""


def load(
    run_or_file: str | Path | Sequence[str],
    device: str | None = None,
    precision: str = "fp32",
    trust: Sequence[str] = (),
    codec: Mapping[str, Any] | None = None,
) -> Predictor:
    """Load the predictor of a run folder (its best weights), a file of weights, or an ONNX file of densepred-export.

    Nothing in the file is executed; `trust` names packages of your own that hold its architecture. `codec` replaces
    settings of the task's codec, such as a threshold. A list of runs becomes their ensemble, see `engine.ensemble`.
    Raises UserError if the file is not a checkpoint of densepred or is damaged.
    """
    first, *others = ensemble.listed(run_or_file)
    if not others and (path := find_weights(first)).suffix == session.SUFFIX:
        model, task, header = session.load(path, trust, codec)
    else:
        model, task, header = ensemble.load([first, *others], trust, codec, losses=False)
    nodes = header.get("transform", [])
    transform = Pipeline([build(node, tuple(trust), "transform") for node in nodes], task.info.mirrored)
    where = torch.device(device) if device else distributed.device()
    return Predictor(model, task, transform, where, Precision(precision, where))


class Predictor:
    """Predicts the annotation of an image at the image's own size."""

    def __init__(
        self, model: Model, task: Task, transform: Pipeline, device: torch.device, precision: Precision
    ) -> None:
        self.model = model.to(device).eval()
        self.task, self.transform, self.device, self.precision = task, transform, device, precision

    @property
    def info(self) -> Info:
        """Description of the dataset that the model was trained on: classes, colours, keypoints."""
        return self.task.info

    @torch.inference_mode()
    def __call__(
        self,
        image: Picture,
        tile: int | None = None,
        overlap: float = 0.5,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
        probabilities: bool = False,
        max_pixels: int = MAX_PIXELS,
        blend: str = "gaussian",
        boxes: Annotation | None = None,
    ) -> Annotation:
        """Predict the annotation of one image.

        image: a path, a PIL image, an array (H, W) or (H, W, C), or a tensor (C, H, W); uint8, floats in 0..1, or
            integers. White in integers other than uint8 is `info.max_value`; if training saw none, it is 65535 in
            uint16, and 255 in other types unless a value is larger. Arrays and tensors hold the channels of the model;
            of files and PIL images its bands (`info.bands`) are taken.
        tile: side of a sliding window in pixels; None predicts the whole image at once.
        overlap: fraction of a window that its neighbours cover too.
        blend: "gaussian" weights overlapping windows by a Gaussian. "none" keeps the central part of each window and
            pads the image by reflection. Models without padding then use the context they need and no more, so that
            their predictions equal those of the whole image.
        flip, scales: average with the mirrored image, and over these sizes of the image.
        boxes: for top-down models, the instances: `boxes` and, if they were detected, `scores` and `categories`. None
            uses the whole image as one box.

        Raises UserError if the image cannot be read, or an option does not suit the model.
        """
        if flip:
            self.task.require_mirror()
        pixels = self.read(image, max_pixels)
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        if self.task.codec.top_down:
            if tile is not None or tuple(scales) != (1.0,):
                word = "scales" if tile is None else "tile"
                raise UserError(f"{word}: instances are predicted one by one; leave it out")
            return self._instances(pixels, whole(size) if boxes is None else boxes, flip)
        x, frame = self._input(pixels)
        views = list(product(scales, (False, True) if flip else (False,)))
        coarse = [name for name, spec in self.task.heads.items() if spec.strides != (1,)]
        if tile is None and views == [(1.0, False)]:
            outputs, align = self._forward(x), self.model.align_corners
        elif coarse:
            if tile is not None or len(views) != 2 or scales[0] != 1:
                word = "scales" if tile is None else "tile"
                raise UserError(f"{word}: head {coarse[0]} has a stride above 1; leave it out, or type flip=true alone")
            align = self.model.align_corners
            outputs = with_mirror(self._forward, self.task, x, align)
        else:
            outputs, align = self._average(x, views, Windows(tile, overlap, blend)), False
        stages = {name: [value] for name, value in outputs.items()}
        return self.task.decode(stages, [frame], align, probabilities)[0]

    def batch(self, images: Sequence[Picture] | np.ndarray | Tensor, **options: Any) -> list[Annotation]:
        """Predict several images, one after another: a list, a tensor (B, C, H, W) or an array (B, H, W[, C]).

        `options` are those of a call; `boxes` is then a list with one entry per image.
        """
        boxes = options.pop("boxes", None) or [None] * len(images)
        return [self(image, boxes=given, **options) for image, given in zip(images, boxes, strict=True)]

    def _instances(self, pixels: Tensor, given: Annotation, flip: bool) -> Annotation:
        """Predict the crop of each instance and merge the results."""
        boxes = given.need("boxes")
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        sample = Sample(pixels, Annotation(size), Frame("image", size))
        rows = (boxes[:, 2:] > boxes[:, :2]).all(1).nonzero()[:, 0].tolist()
        found, frames = [], []
        for start in range(0, len(rows), TOGETHER):
            crops = [
                self.transform(cut_out(sample, given, row), random_generator("predict", row))
                for row in rows[start : start + TOGETHER]
            ]
            x = unit_scale(torch.stack([crop.image for crop in crops]).to(self.device))
            align = self.model.align_corners
            outputs = with_mirror(self._forward, self.task, x, align) if flip else self._forward(x)
            here = [crop.frame for crop in crops]
            found += self.task.decode({name: [value] for name, value in outputs.items()}, here, align)
            frames += here
        return self.task.codec.merge_instances(found, frames, given)

    def require_instances(self) -> None:
        """Raise UserError if the model is not top-down and so uses no boxes."""
        if not self.task.codec.top_down:
            raise UserError("boxes: the model of this checkpoint predicts whole images; leave boxes out")

    @torch.inference_mode()
    def encode(self, image: Picture, max_pixels: int = MAX_PIXELS) -> Tensor:
        """Return the latent of an image, (k, h, w) or (k,), of a run of task=autoencoder.

        Raises UserError if the model has none, or the image cannot be read.
        """
        encode = self.require_latents()
        with self.precision.autocast():
            return encode(self._input(self.read(image, max_pixels))[0])[0].float()

    def require_latents(self) -> Callable[[Tensor], Tensor]:
        """Return the model's function from images to latents; raise UserError if it has none."""
        encode = getattr(self.model, "encode", None)
        if encode is None:
            raise UserError("latents: the model of this checkpoint has no latent; use a run of task=autoencoder")
        return encode

    def basis(self) -> dict[str, Tensor] | None:
        """Return the linear maps from patches to latents and back; None if the model is not linear."""
        basis = getattr(self.model, "basis", None)
        return None if basis is None else basis()

    def _input(self, pixels: Tensor) -> tuple[Tensor, Frame]:
        """Return the input (1, C, H, W) in [0, 1] for the pixels of an image, and its frame."""
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        sample = self.transform(Sample(pixels, Annotation(size), Frame("image", size)), random_generator("predict"))
        return unit_scale(sample.image[None].to(self.device)), sample.frame

    def stored(self, path: Path, max_pixels: int = MAX_PIXELS) -> Stored:
        """Read the image of a file, in the orientation of training, and where it has no data."""
        stored = read_stored(path, self.info.reads, max_pixels, white_in(self.info))
        return stored if self.info.exif == "stored" else stored.upright()

    def read(self, image: Picture, max_pixels: int = MAX_PIXELS) -> Tensor:
        """Convert any image to a tensor (C, H, W) with the channels of the model. Raises UserError if that fails."""
        info, white, upright = self.info, white_in(self.info), self.info.exif != "stored"
        if isinstance(image, str | Path):
            return self.stored(expand(image), max_pixels).image
        if isinstance(image, Image.Image):
            return from_image(image, info.reads, white, upright=upright)
        if isinstance(image, list | tuple) or (isinstance(image, np.ndarray | Tensor) and image.ndim == 4):
            raise UserError("image: several images; call model.batch(images), which returns one annotation per image")
        if not isinstance(image, np.ndarray | Tensor) or image.ndim not in (2, 3):
            raise UserError(f"image: {type(image).__name__} {getattr(image, 'shape', '')}; give a path or one image")
        if isinstance(image, Tensor):
            image = image.movedim(0, -1).cpu().numpy() if image.ndim == 3 else image.cpu().numpy()
        return from_array(image, info.channels, white)

    def _forward(self, x: Tensor, run: Callable[[Tensor], Outputs] | None = None) -> Heads:
        """Return the predictions of every head for (B, C, H, W), at the model's stride."""
        with self.precision.autocast():
            outputs = self.model(x) if run is None else run(x)
        return {name: outputs[name][-1].float() for name in self.task.heads}

    def _average(self, x: Tensor, views: Sequence[tuple[float, bool]], windows: Windows) -> Heads:
        """Average over views of the image, at its full size; classes are averaged as probabilities."""
        size = (int(x.shape[-2]), int(x.shape[-1]))
        total: Heads = {}
        for scale, flipped in views:
            view = resample.resize(x, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
            view = view.flip(-1) if flipped else view
            if windows.blend == "none":
                seen = sliding.abutting(view, windows, self._window, self.model)
            else:
                seen = sliding.blended(view, windows, self._window)
            seen = self.task.codec.unflip(seen) if flipped else seen
            seen = self.task.codec.unscale(seen, scale) if scale != 1 else seen
            for name, value in seen.items():
                total[name] = total.get(name, 0) + resample.resize(value, size) / len(views)
        return {name: logits(self.task.heads[name], value) for name, value in total.items()}

    def _window(self, x: Tensor, size: tuple[int, int], run: Callable[[Tensor], Outputs] | None) -> Heads:
        """Return the probabilities, or values, of each head for a window (1, C, h, w), at this size."""
        align, heads = self.model.align_corners, self.task.heads
        return {
            name: head_probabilities(heads[name], resample.resize(value, size, align))
            for name, value in self._forward(x, run).items()
        }

    @torch.inference_mode()
    def rows(
        self,
        read: Callable[[int, int, int, int], Tensor],
        size: tuple[int, int],
        windows: Windows,
    ) -> Iterator[tuple[int, Annotation]]:
        """Predict the class map of an image window by window, without holding it: yield first rows and their rows.

        `read` returns the pixels (C, h, w) of the window of a top, left, height and width. The result is that of a
        call with this `tile`, blended. The task must be semantic segmentation, without transforms.
        """

        def pixels(*where: int) -> Tensor:
            return unit_scale(read(*where)[None].to(self.device))

        for top, found in sliding.blended_rows(pixels, size, windows, self._window):
            outputs = {name: [logits(self.task.heads[name], value)] for name, value in found.items()}
            frame = Frame("image", (int(outputs["semantic"][0].shape[-2]), size[1]))
            yield top, self.task.decode(outputs, [frame], False)[0]


def whole(size: tuple[int, int]) -> Annotation:
    """Return the image as the box of one instance."""
    return Annotation(size, boxes=torch.tensor([[-0.5, -0.5, size[1] - 0.5, size[0] - 0.5]]))
