"""Reconstruction error of images: MSE, PSNR and SSIM."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.precise import exact
from densepred.ops.score.ssim import SIZE, ssim
from densepred.types import Annotation, Info


class Reconstruction(Metric):
    """Mean squared error, peak signal-to-noise ratio in dB, and structural similarity, of images in [0, 1].

    `mse` is one mean over all values of the dataset, and `psnr` is -10 log10(mse), undefined if the error is 0. `ssim`
    (Wang et al., IEEE TIP 2004) is the mean over images of 11 x 11 pixels and more.
    """

    requires = ("image",)
    mode = {"mse": "min", "psnr": "max", "ssim": "max"}

    def __init__(self, info: Info) -> None:
        # One entry per image: math.fsum depends neither on their order nor on the number of processes.
        self.squares: list[float] = []
        self.values = 0
        self.similar: list[float] = []

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        guess = _exact(prediction.need("image"))
        image = _exact(truth.need("image")).to(guess.device)
        self.squares.append((guess - image).square().sum().item())
        self.values += image.numel()
        if min(truth.size) >= SIZE:
            self.similar.append(ssim(guess[None], image[None]).item())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Reconstruction)
        self.squares += other.squares
        self.similar += other.similar
        self.values += other.values

    def compute(self) -> dict[str, float | None]:
        mse = math.fsum(self.squares) / self.values if self.values else None
        psnr = -10 * math.log10(mse) if mse else None
        return {"mse": mse, "psnr": psnr, "ssim": math.fsum(self.similar) / len(self.similar) if self.similar else None}


def _exact(image: Tensor) -> Tensor:
    """Convert to float64 in [0, 1], on the CPU if the device has no float64."""
    return exact(image) / 255 if image.dtype == torch.uint8 else exact(image)
