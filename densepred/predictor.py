"""A trained model as a function: image in, annotation out. The commands and notebooks use the same code."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred import checkpoint, distributed
from densepred.build import build
from densepred.contracts import Model
from densepred.data import random_generator
from densepred.dataset.image import from_array, from_image, read_image
from densepred.dataset.raster import MAX_PIXELS
from densepred.ops import resample
from densepred.ops.tiling import blend_weights, positions
from densepred.precision import Precision
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, Info, Sample

Picture = str | Path | Image.Image | np.ndarray | Tensor
Heads = dict[str, Tensor]


def load(
    run_or_file: str | Path, device: str | None = None, precision: str = "fp32", trust: Sequence[str] = ()
) -> Predictor:
    """The predictor of a run folder (its best weights) or of a file of weights.

    Nothing in the file is executed; `trust` names packages of your own that hold its architecture.
    Raises UserError where the file is not a checkpoint of densepred or was damaged.
    """
    model, task, header = checkpoint.load_model(checkpoint.find(str(run_or_file)), trust)
    nodes = header.get("transform", [])
    transform = Pipeline([build(node, tuple(trust), "transform") for node in nodes], task.info.mirrored)
    where = torch.device(device) if device else distributed.device()
    return Predictor(model, task, transform, where, Precision(precision, where))


class Predictor:
    """Called with an image, gives what the model sees in it, on the image's own grid."""

    def __init__(
        self, model: Model, task: Task, transform: Pipeline, device: torch.device, precision: Precision
    ) -> None:
        self.model = model.to(device).eval()
        self.task, self.transform, self.device, self.precision = task, transform, device, precision

    @property
    def info(self) -> Info:
        """Classes, colours and the like of the dataset that the model was trained on."""
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
    ) -> Annotation:
        """The annotation of one image.

        image: a path, a PIL image, an array (H, W) or (H, W, C), or a tensor (C, H, W); uint8, uint16 or float in 0..1.
        tile: side in pixels of a window that slides over the image; None takes the image whole.
        overlap: the share of a window that its neighbours see too.
        flip, scales: average with the mirrored image, and over these sizes of the image.
        """
        pixels = self.read(image, max_pixels)
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        sample = Sample(pixels, Annotation(size), Frame("image", size))
        sample = self.transform(sample, random_generator("predict"))
        x = sample.image[None].to(self.device)
        x = x.float().div_(255) if x.dtype == torch.uint8 else x
        views = list(product(scales, (False, True) if flip else (False,)))
        if tile is None and views == [(1.0, False)]:
            outputs, align = self._forward(x), self.model.align_corners
        else:
            outputs, align = self._average(x, views, tile, overlap), False
        stages = {name: [value] for name, value in outputs.items()}
        return self.task.decode(stages, [sample.frame], align, probabilities)[0]

    def read(self, image: Picture, max_pixels: int = MAX_PIXELS) -> Tensor:
        """Any picture as a tensor (C, H, W) with the channels that the model takes."""
        channels = self.info.channels
        if isinstance(image, str | Path):
            return read_image(Path(image), channels, max_pixels)
        if isinstance(image, Image.Image):
            return from_image(image, channels)
        if isinstance(image, Tensor):
            image = image.movedim(0, -1).cpu().numpy() if image.ndim == 3 else image.cpu().numpy()
        return from_array(image, channels)

    def _forward(self, x: Tensor) -> Heads:
        """The answer of every head to (1, C, H, W), at the model's stride."""
        with self.precision.autocast():
            outputs = self.model(x)
        return {name: outputs[name][-1].float() for name in self.task.heads}

    def _average(self, x: Tensor, views: Sequence[tuple[float, bool]], tile: int | None, overlap: float) -> Heads:
        """The mean over views of the image, at its full size; classes are averaged as probabilities."""
        size = (int(x.shape[-2]), int(x.shape[-1]))
        total: Heads = {}
        for scale, mirrored in views:
            view = resample.resize(x, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
            seen = self._windows(view.flip(-1) if mirrored else view, tile, overlap)
            seen = self.task.codec.unflip(seen) if mirrored else seen
            for name, value in seen.items():
                total[name] = total.get(name, 0) + resample.resize(value, size) / len(views)
        return {name: self._logits(name, value) for name, value in total.items()}

    def _windows(self, x: Tensor, tile: int | None, overlap: float) -> Heads:
        """Probabilities, or values, at the full size of `x`, blended from windows where a tile is given."""
        size = (int(x.shape[-2]), int(x.shape[-1]))
        window = (min(tile or size[0], size[0]), min(tile or size[1], size[1]))
        weight = blend_weights(window, x.device)
        sums: Heads = {}
        norm = torch.zeros(size, device=x.device)
        for top, left in product(positions(size[0], window[0], overlap), positions(size[1], window[1], overlap)):
            here = (..., slice(top, top + window[0]), slice(left, left + window[1]))
            norm[here] += weight
            for name, value in self._forward(x[here]).items():
                full = self._probabilities(name, resample.resize(value, window, self.model.align_corners))
                sums.setdefault(name, full.new_zeros(1, full.shape[1], *size))[here] += full * weight
        return {name: value.div_(norm) for name, value in sums.items()}

    def _probabilities(self, name: str, value: Tensor) -> Tensor:
        if self.task.heads[name].kind != "classes":
            return value
        return resample.two_channels(value).softmax(1)

    def _logits(self, name: str, value: Tensor) -> Tensor:
        if self.task.heads[name].kind != "classes":
            return value
        return value.clamp(min=torch.finfo(value.dtype).tiny).log()
