"""A trained model as a function from image to annotation, for the commands and for notebooks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from densepred import distributed
from densepred.build.instantiate import build
from densepred.codec.blockwise import Blocks, Blockwise
from densepred.contracts import Model
from densepred.dataset import picture
from densepred.dataset.image import Stored
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.image_rows import Loaded, Rows, open_rows
from densepred.dataset.picture import Picture
from densepred.engine import box_windows, detection_limits, ensemble, tta
from densepred.engine.amp import Precision
from densepred.engine.flip import HeadOutputs, Predict, with_mirror
from densepred.engine.folding import fold
from densepred.engine.grid_scales import over_scales
from densepred.engine.row_blocks import Block, blocks
from densepred.engine.sliding import ForwardFn, Network, Windows
from densepred.errors import UserError
from densepred.exporting import runtime
from densepred.loader.crops import cut_out, whole
from densepred.loader.seeds import random_generator
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, Info, Sample, unit_scale
from densepred.weights.header import find_weights

TOGETHER = 32  # instances of an image per batch
SAME = (1.0,)  # `scales` of the image alone


def load(
    run_or_file: str | Path | Sequence[str],
    device: str | None = None,
    precision: str = "fp32",
    trust: Sequence[str] = (),
    codec: Mapping[str, Any] | None = None,
) -> Predictor:
    """Load the predictor of a run folder (its best weights), a file of weights, or a file of densepred-export.

    Nothing in the file is executed; `trust` names packages of your own that hold its architecture. A program of
    torch.export (.pt2) may execute code: it is opened if `trust` names "torch.export". `codec` replaces settings of the
    task's codec, such as a threshold. A list of runs becomes their ensemble, see `engine.ensemble`.
    Raises UserError if the file is not a checkpoint of densepred or is damaged.
    """
    first, *others = ensemble.listed(run_or_file)
    if not others and (path := find_weights(first)).suffix in runtime.SUFFIXES:
        model, task, header = runtime.load(path, trust, codec, precision)
        precision = "fp32"
    else:
        model, task, header = ensemble.load([first, *others], trust, codec, losses=False)
    nodes = header.get("transform", [])
    transform = Pipeline([build(node, tuple(trust), "transform") for node in nodes], task.info.mirrored)
    where = torch.device(device) if device else distributed.device()
    if precision == "fp32":
        fold(model.to(where).eval())
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
        scales: Sequence[float] = SAME,
        probabilities: bool = False,
        max_pixels: int = MAX_PIXELS,
        blend: str = "gaussian",
        boxes: Annotation | None = None,
        tile_batch: int | None = None,
        ready: bool = False,
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
        tile_batch: windows per batch; None: 8 on an accelerator, 1 on a CPU.
        boxes: for top-down models, the instances: `boxes` and, if they were detected, `scores` and `categories`. None
            uses the whole image as one box.
        ready: `image` is a tensor that `read` returned, so its values are not scaled again. Objects beyond a limit of
            the codec stay counted, for one notice about all images.

        Raises UserError if the image cannot be read, or an option does not suit the model.
        """
        runtime.check_probabilities(self.model, probabilities)
        if flip:
            self.task.require_mirror()
        if not ready:  # commands have read images before, and tell of limits once for all of them
            stored, codec = self.stored(image, max_pixels), self.task.codec
            views = (tile, overlap, flip, scales, probabilities, max_pixels, blend, boxes, tile_batch)
            detection_limits.take_full(codec)  # of a call that was interrupted
            found = stored.hide(self(stored.image, *views, ready=True))
            detection_limits.tell_of_full(codec, 1)
            return found
        pixels = self.read(image, max_pixels, ready)
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        self.require_views(tile, scales)
        if self.task.codec.top_down:
            return self._instances(pixels, whole(size) if boxes is None else boxes, flip)
        windows = Windows(tile, overlap, blend, tile_batch)
        if tile is not None and self.streams(scales):
            return self._joined(Loaded(pixels), windows, flip, probabilities)
        coarse = any(spec.strides != (1,) for spec in self.task.heads.values())
        if tile is None and (coarse or not (flip or tuple(scales) != SAME)):
            return self.together([pixels], probabilities, flip, scales)[0]
        if coarse:
            return self._boxes(pixels, windows, flip)
        ways = list(product(scales, (False, True) if flip else (False,)))
        x, frame = self._input(pixels)
        outputs = tta.average(self._network(), self.task.codec, Loaded(x[0]), ways, windows)
        return self.task.decode({name: [value] for name, value in outputs.items()}, [frame], False, probabilities)[0]

    @torch.inference_mode()
    def together(
        self, images: Sequence[Tensor], probabilities: bool = False, flip: bool = False, scales: Sequence[float] = SAME
    ) -> list[Annotation]:
        """Predict images (C, H, W) of one size as one batch, which rounds otherwise than one by one; not top-down."""
        inputs, frames = zip(*map(self._input, images), strict=True)
        x, align, predict = torch.cat(inputs), self.model.align_corners, self._mirrored() if flip else self._forward
        outputs = predict(x) if tuple(scales) == SAME else over_scales(predict, self.task, x, scales, align)
        return self.task.decode({name: [v] for name, v in outputs.items()}, list(frames), align, probabilities)

    def require_views(self, tile: int | None, scales: Sequence[float] = SAME) -> None:
        """Raise UserError if the model cannot be applied in windows, or over these sizes of the image."""
        tta.require(self.task, tile, tuple(scales) != SAME)

    def _boxes(self, pixels: Tensor, windows: Windows, flip: bool) -> Annotation:
        """Predict boxes window by window; an image counts once among those that reach the limit of the codec."""
        step = math.lcm(*(stride for spec in self.task.heads.values() for stride in spec.strides))
        before = detection_limits.take_full(self.task.codec)
        found = box_windows.predict(lambda some: self.together(some, flip=flip), pixels, windows, step, self.device)
        detection_limits.add_full(self.task.codec, before + min(1, detection_limits.take_full(self.task.codec)))
        return found

    def streams(self, scales: Sequence[float] = SAME) -> bool:
        """Return True if images can be predicted by `strips`: pixels are decoded one by one, at the image's size."""
        return self.task.codec.pixelwise and not self.transform.transforms and tuple(scales) == SAME

    @torch.inference_mode()
    def strips(
        self, image: Rows, windows: Windows, flip: bool = False, probabilities: bool = False
    ) -> Iterator[tuple[int, Annotation]]:
        """Yield the annotation of each strip of an image, from the top, beside its first row.

        Memory does not grow with the image's height: `image` is read by rows, and predictions are kept for the rows of
        one row of windows. Only for models that `streams`.
        """
        for top, outputs in tta.strips(self._network(), self.task.codec, image, windows, flip):
            size = (int(next(iter(outputs.values())).shape[-2]), image.size[1])
            yield top, self.task.codec.decode(outputs, [Frame("image", size)], False, probabilities)[0]

    def blocks(self, size: tuple[int, int], scales: Sequence[float] = SAME) -> Blocks | None:
        """Return how instances of an image can be decoded by `instances`; None if they need the whole image."""
        codec, strides = self.task.codec, {spec.strides for spec in self.task.heads.values()}
        plain = not self.transform.transforms and tuple(scales) == SAME and strides == {(1,)}
        return codec.blocks(size) if plain and isinstance(codec, Blockwise) else None

    @torch.inference_mode()
    def instances(
        self, image: Rows, windows: Windows, plan: Blocks, flip: bool = False, probabilities: bool = False
    ) -> Iterator[Block]:
        """Yield overlapping blocks of an image, from the top, as `blocks` plans them; memory as in `strips`."""
        strips = tta.strips(self._network(), self.task.codec, image, windows, flip)
        yield from blocks(strips, self.task.codec, plan, image.size, windows.tile or image.size[0], probabilities)

    def _joined(self, image: Rows, windows: Windows, flip: bool, probabilities: bool) -> Annotation:
        """Return the annotation of an image from its strips."""
        found = [strip for _, strip in self.strips(image, windows, flip, probabilities)]
        shares = torch.cat([one.need("probabilities") for one in found], 1) if probabilities else None
        return Annotation(image.size, torch.cat([one.need("semantic") for one in found]), probabilities=shares)

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
        found, frames, predict = [], [], self._mirrored() if flip else self._forward
        for start in range(0, len(rows), TOGETHER):
            crops = [
                self.transform(cut_out(sample, given, row), random_generator("predict", row))
                for row in rows[start : start + TOGETHER]
            ]
            x = unit_scale(torch.stack([crop.image for crop in crops]).to(self.device))
            here = [crop.frame for crop in crops]
            found += self.task.decode({name: [v] for name, v in predict(x).items()}, here, self.model.align_corners)
            frames += here
        return self.task.codec.merge_instances(found, frames, given)

    def require_instances(self) -> None:
        """Raise UserError if the model is not top-down and so uses no boxes."""
        if not self.task.codec.top_down:
            raise UserError("boxes: the model of this checkpoint predicts whole images; leave boxes out")

    @torch.inference_mode()
    def encode(self, image: Picture, max_pixels: int = MAX_PIXELS, ready: bool = False) -> Tensor:
        """Return the latent of an image, (k, h, w) or (k,), of a run of task=autoencoder.

        Raises UserError if the model has none, or the image cannot be read.
        """
        encode = self.require_latents()
        with self.precision.autocast():
            return encode(self._input(self.read(image, max_pixels, ready))[0])[0].float()

    def require_latents(self) -> Callable[[Tensor], Tensor]:
        """Return the model's function from images to latents; raise UserError if it has none."""
        encode: Any = getattr(self.model, "encode", None)
        if encode is None:
            raise UserError("latents: the model of this checkpoint has no latent; use a run of task=autoencoder")
        return encode

    def basis(self) -> dict[str, Tensor] | None:
        """Return the linear maps from patches to latents and back; None if the model is not linear."""
        basis: Any = getattr(self.model, "basis", None)
        return None if basis is None else basis()

    def _input(self, pixels: Tensor) -> tuple[Tensor, Frame]:
        """Return the input (1, C, H, W) in [0, 1] for the pixels of an image, and its frame."""
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        sample = self.transform(Sample(pixels, Annotation(size), Frame("image", size)), random_generator("predict"))
        return unit_scale(sample.image[None].to(self.device)), sample.frame

    def stored(self, image: Picture, max_pixels: int = MAX_PIXELS) -> Stored:
        """Read an image; that of a file in the orientation of training, and where it has no data."""
        return picture.stored(image, self.info, max_pixels)

    def rows(self, path: Path, max_pixels: int = MAX_PIXELS) -> Rows | None:
        """Open the image of a file for `strips`; None if it is one for `stored`, see `open_rows`."""
        return open_rows(path, self.info.reads, max_pixels, self.info.exif != "stored")

    def read(self, image: Picture, max_pixels: int = MAX_PIXELS, ready: bool = False) -> Tensor:
        """Convert any image to a tensor (C, H, W) with the channels of the model. Raises UserError if that fails."""
        return image if ready and isinstance(image, Tensor) else self.stored(image, max_pixels).image

    def _forward(self, x: Tensor, forward: ForwardFn | None = None) -> HeadOutputs:
        """Return the predictions of every head for (B, C, H, W), at the model's stride."""
        with self.precision.autocast():
            outputs = self.model(x) if forward is None else forward(x)
        return {name: outputs[name][-1].float() for name in self.task.heads}

    def _mirrored(self) -> Predict:
        return partial(with_mirror, self._forward, self.task, align_corners=self.model.align_corners)

    def _network(self) -> Network:
        return Network(self.model, self.task.heads, self._forward, self.device)
