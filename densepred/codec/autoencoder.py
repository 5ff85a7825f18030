"""Autoencoding: the image is its own annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from densepred.codec.framing import check_whole
from densepred.contracts import Codec
from densepred.nn import require_at_least_zero
from densepred.ops.resize import resample
from densepred.types import Annotation, Frame, HeadSpec, Info, UserError, unit_scale


class Autoencoder(Codec):
    """Codec of the head `image`: the target is the clean image in [0, 1], the input that image or a corrupted copy.

    noise: standard deviation of Gaussian noise on the input, if white is 1.
    masked: share of the input's pixels that are set to black.
    Both are the corruptions of Vincent et al., JMLR 2010 (denoising autoencoders). Prediction adds none.
    """

    required = ("image",)
    predicts = ("image",)

    def __init__(self, info: Info, noise: float = 0.0, masked: float = 0.0) -> None:
        if not 0 <= masked < 1:
            raise UserError(f"task.codec.masked: {masked}; give a share of the pixels from 0 to below 1")
        self.noise, self.masked = require_at_least_zero(noise, "task.codec.noise"), masked
        self.heads = {"image": HeadSpec(info.channels)}

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        return dict.fromkeys(("noise", "masked"), "only training damages its input")

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        return {"image": unit_scale(truth.need("image"))}

    def corrupt(self, image: Tensor, generator: Generator) -> Tensor:
        """Return a corrupted copy of an image (C, H, W), float32 in [0, 1]; without settings the image itself."""
        if not self.noise and not self.masked:
            return image
        image = unit_scale(image)
        if self.noise:
            drawn = torch.randn(image.shape, generator=generator)
            image = drawn.mul_(self.noise).add_(image).clamp_(0, 1)
        if self.masked:
            image = image * (torch.rand(image.shape[-2:], generator=generator) >= self.masked)
        return image

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        """Return images at the original sizes, not clipped, so that their error is that of the model."""
        found = []
        for image, frame in zip(outputs["image"].split(1), frames, strict=True):
            check_whole(frame)
            found.append(Annotation(frame.size, image=resample.resize(image, frame.size, align_corners)[0]))
        return found

    def unscale(self, outputs: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
        return dict(outputs)  # colours are not lengths

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"image": targets["image"]}
