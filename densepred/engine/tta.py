"""Test-time augmentation: means of outputs over the mirror image and other sizes of an image, in windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch.nn.functional as F

from densepred.contracts import Codec
from densepred.dataset.image_rows import Loaded, Rows
from densepred.engine import sliding
from densepred.engine.flip import HeadOutputs, logits
from densepred.engine.sliding import Network, Windows
from densepred.errors import UserError
from densepred.ops.resize import resample
from densepred.task import Task
from densepred.types import unit_scale


def require(task: Task, tile: int | None, resized: bool) -> None:
    """Raise UserError if the task cannot be predicted in windows, or `resized`: over several sizes of the image."""
    word = "scales" if resized else "tile"
    if task.codec.top_down and (resized or tile is not None):
        raise UserError(f"{word}: instances are predicted one by one; leave it out")
    coarse = [name for name, spec in task.heads.items() if spec.strides != (1,)]
    levels = max(len(spec.strides) for spec in task.heads.values())
    possible = levels == 1 or not resized if tile is None else task.codec.windowed and not resized
    if coarse and not possible:
        raise UserError(f"{word}: head {coarse[0]} has a stride above 1; leave it out, or type flip=true alone")
    if resized and type(task.codec).unscale is Codec.unscale:
        task.codec.unscale({}, 1.0)  # refuses lengths, of which it knows nothing


def strips(
    network: Network, codec: Codec, image: Rows, windows: Windows, flip: bool
) -> Iterator[tuple[int, HeadOutputs]]:
    """Yield the outputs for some rows, (1, C, R, W) per head, beside the first of them; with `flip`, means of two."""
    sides = (False, True) if flip else (False,)
    views = [sliding.strips(network, image, windows, flipped) for flipped in sides]
    for parts in zip(*views, strict=True):
        top, seen = parts[0]
        if flip:
            mirror = codec.unflip(parts[1][1])
            seen = {name: value / 2 + mirror[name] / 2 for name, value in seen.items()}
        yield top, {name: logits(network.heads[name], value) for name, value in seen.items()}


def average(
    network: Network, codec: Codec, image: Rows, views: Sequence[tuple[float, bool]], windows: Windows
) -> HeadOutputs:
    """Average over views (scale, flipped) of the image, at its full size; classes are averaged as probabilities."""
    total: HeadOutputs = {}
    for scale, flipped in views:
        size = (max(1, round(image.size[0] * scale)), max(1, round(image.size[1] * scale)))
        view = image
        if size != image.size:
            pixels = unit_scale(image.read(0, image.size[0])[None].to(network.device))
            # As training shrinks images: without antialiasing thin things would appear and vanish
            view = Loaded(F.interpolate(pixels, size, mode="bilinear", antialias=True)[0])
        seen = sliding.whole(network, view, windows, flipped)
        seen = codec.unflip(seen) if flipped else seen
        seen = codec.unscale(seen, scale) if scale != 1 else seen
        for name, value in seen.items():
            total[name] = total.get(name, 0) + resample.resize(value, image.size) / len(views)
    return {name: logits(network.heads[name], value) for name, value in total.items()}
