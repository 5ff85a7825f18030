"""A trained model as a function: image in, annotation out. The commands and notebooks use the same code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred import distributed
from densepred.build.instantiate import build
from densepred.contracts import Model, Unpadded
from densepred.dataset.image import from_array, from_image, read_image
from densepred.dataset.raster import MAX_PIXELS
from densepred.engine.amp import Precision
from densepred.engine.flip import Heads, logits, with_mirror
from densepred.engine.flip import probabilities as head_probabilities
from densepred.errors import UserError
from densepred.loader.crops import cut_out
from densepred.loader.samples import random_generator
from densepred.nn import choose
from densepred.ops.geometry.mirror import mirrored
from densepred.ops.geometry.tiling import blend_weights, cut, cut_unpadded, positions
from densepred.ops.resize import resample
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, Info, Outputs, Sample
from densepred.weights.file import find, load_model

Picture = str | Path | Image.Image | np.ndarray | Tensor


TOGETHER = 32
"""Instances of an image that the network is shown at a time."""


@dataclass(frozen=True, slots=True)
class Windows:
    """How an image is taken in parts: see `Predictor.__call__`."""

    tile: int | None
    overlap: float
    blend: str

    def __post_init__(self) -> None:
        choose("blend", self.blend, ("gaussian", "none"))


def load(
    run_or_file: str | Path,
    device: str | None = None,
    precision: str = "fp32",
    trust: Sequence[str] = (),
    codec: Mapping[str, Any] | None = None,
) -> Predictor:
    """The predictor of a run folder (its best weights) or of a file of weights.

    Nothing in the file is executed; `trust` names packages of your own that hold its architecture. `codec` holds
    settings of the task's codec, such as a threshold, in place of those it was trained with.
    Raises UserError where the file is not a checkpoint of densepred or was damaged.
    """
    model, task, header = load_model(find(str(run_or_file)), trust, codec)
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
        blend: str = "gaussian",
        boxes: Annotation | None = None,
    ) -> Annotation:
        """The annotation of one image.

        image: a path, a PIL image, an array (H, W) or (H, W, C), or a tensor (C, H, W); uint8, uint16 or float in 0..1.
        tile: side in pixels of a window that slides over the image; None takes the image whole.
        overlap: the share of a window that its neighbours see too.
        blend: "gaussian" fades windows into one another; "none" keeps the middle of each, so that middles abut, and
            shows mirrored context beyond the edges of the image. Models without padding then take no more context
            than they need, and say exactly what they say of the whole image.
        flip, scales: average with the mirrored image, and over these sizes of the image.
        boxes: of a model that sees one instance at a time, where they are: `boxes` and, of detected ones, `scores` and
            `categories`. None takes the image for one box.
        """
        pixels = self.read(image, max_pixels)
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        if self.task.codec.top_down:
            if tile is not None or tuple(scales) != (1.0,):
                raise UserError(f"{'scales' if tile is None else 'tile'}: instances are seen one by one; leave it out")
            return self._instances(pixels, whole(size) if boxes is None else boxes, flip)
        sample = Sample(pixels, Annotation(size), Frame("image", size))
        sample = self.transform(sample, random_generator("predict"))
        x = sample.image[None].to(self.device)
        x = x.float().div_(255) if x.dtype == torch.uint8 else x
        views = list(product(scales, (False, True) if flip else (False,)))
        coarse = [name for name, spec in self.task.heads.items() if spec.strides != (1,)]
        if tile is None and views == [(1.0, False)]:
            outputs, align = self._forward(x), self.model.align_corners
        elif coarse:
            if tile is not None or len(views) != 2 or scales[0] != 1:
                word = "scales" if tile is None else "tile"
                raise UserError(f"{word}: head {coarse[0]} has cells larger than pixels; only flip=true averages them")
            align = self.model.align_corners
            outputs = with_mirror(self._forward, self.task, x, align)
        else:
            outputs, align = self._average(x, views, Windows(tile, overlap, blend)), False
        stages = {name: [value] for name, value in outputs.items()}
        return self.task.decode(stages, [sample.frame], align, probabilities)[0]

    def _instances(self, pixels: Tensor, given: Annotation, flip: bool) -> Annotation:
        """What is found in the box of each instance, put together."""
        assert given.boxes is not None
        size = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        sample = Sample(pixels, Annotation(size), Frame("image", size))
        rows = (given.boxes[:, 2:] > given.boxes[:, :2]).all(1).nonzero()[:, 0].tolist()
        found, frames = [], []
        for start in range(0, len(rows), TOGETHER):
            crops = [
                self.transform(cut_out(sample, given, row), random_generator("predict", row))
                for row in rows[start : start + TOGETHER]
            ]
            x = torch.stack([crop.image for crop in crops]).to(self.device)
            x = x.float().div_(255) if x.dtype == torch.uint8 else x
            align = self.model.align_corners
            outputs = with_mirror(self._forward, self.task, x, align) if flip else self._forward(x)
            here = [crop.frame for crop in crops]
            found += self.task.decode({name: [value] for name, value in outputs.items()}, here, align)
            frames += here
        return self.task.codec.merge_instances(found, frames, given)

    def require_instances(self) -> None:
        """Raise UserError where boxes mean nothing to the model."""
        if not self.task.codec.top_down:
            raise UserError("boxes: the model of this checkpoint sees whole images; leave boxes out")

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

    def _forward(self, x: Tensor, run: Callable[[Tensor], Outputs] | None = None) -> Heads:
        """The answer of every head to (1, C, H, W), at the model's stride."""
        with self.precision.autocast():
            outputs = (run or self.model)(x)
        return {name: outputs[name][-1].float() for name in self.task.heads}

    def _average(self, x: Tensor, views: Sequence[tuple[float, bool]], windows: Windows) -> Heads:
        """The mean over views of the image, at its full size; classes are averaged as probabilities."""
        size = (int(x.shape[-2]), int(x.shape[-1]))
        total: Heads = {}
        for scale, flipped in views:
            view = resample.resize(x, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
            view = view.flip(-1) if flipped else view
            seen = self._abutting(view, windows) if windows.blend == "none" else self._blended(view, windows)
            seen = self.task.codec.unflip(seen) if flipped else seen
            seen = self.task.codec.unscale(seen, scale) if scale != 1 else seen
            for name, value in seen.items():
                total[name] = total.get(name, 0) + resample.resize(value, size) / len(views)
        return {name: logits(self.task.heads[name], value) for name, value in total.items()}

    def _blended(self, x: Tensor, windows: Windows) -> Heads:
        """Probabilities, or values, at the full size of `x`, blended from windows where a tile is given."""
        size, tile = (int(x.shape[-2]), int(x.shape[-1])), windows.tile
        window = (min(tile or size[0], size[0]), min(tile or size[1], size[1]))
        weight = blend_weights(window, x.device)
        sums: Heads = {}
        norm = torch.zeros(size, device=x.device)
        starts = [positions(length, side, windows.overlap) for length, side in zip(size, window, strict=True)]
        for top, left in product(*starts):
            here = (..., slice(top, top + window[0]), slice(left, left + window[1]))
            norm[here] += weight
            for name, value in self._forward(x[here]).items():
                full = head_probabilities(
                    self.task.heads[name], resample.resize(value, window, self.model.align_corners)
                )
                sums.setdefault(name, full.new_zeros(1, full.shape[1], *size))[here] += full * weight
        return {name: value.div_(norm) for name, value in sums.items()}

    def _abutting(self, x: Tensor, windows: Windows) -> Heads:
        """The same from the middles of windows, side by side."""
        size, model, tile = (int(x.shape[-2]), int(x.shape[-1])), self.model, windows.tile
        if tile is not None and isinstance(model, Unpadded):
            rows, columns = (cut_unpadded(length, tile, model) for length in size)
            run, lost = model.valid, model.margin
        else:
            rows, columns = (cut(length, tile or length, windows.overlap) for length in size)
            run, lost = None, 0
        out: Heads = {}
        for (down, kept), (across, held) in product(rows.windows(size[0]), columns.windows(size[1])):
            answers = self._forward(mirrored(x, down, across), run)
            answered = (down[1] - down[0] - 2 * lost, across[1] - across[0] - 2 * lost)
            top, left = kept[0] - down[0] - lost, held[0] - across[0] - lost
            for name, value in answers.items():
                full = head_probabilities(
                    self.task.heads[name], resample.resize(value, answered, self.model.align_corners)
                )
                part = full[..., top : top + kept[1] - kept[0], left : left + held[1] - held[0]]
                whole = out.setdefault(name, full.new_empty(1, full.shape[1], *size))
                whole[..., kept[0] : kept[1], held[0] : held[1]] = part
        return out

    def _enlarged(self, name: str, value: Tensor, size: tuple[int, int]) -> Tensor:
        """Probabilities, or values, at this size."""
        return head_probabilities(self.task.heads[name], resample.resize(value, size, self.model.align_corners))


def whole(size: tuple[int, int]) -> Annotation:
    """An image as the box of one instance."""
    return Annotation(size, boxes=torch.tensor([[-0.5, -0.5, size[1] - 0.5, size[0] - 0.5]]))
