"""How near reconstructed images are to the true ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.score.requires import require
from densepred.ops.score.ssim import SIZE, ssim
from densepred.types import Annotation, Info


class Reconstruction(Metric):
    """Mean squared error, its peak signal-to-noise ratio in dB, and structural similarity; white is 1.

    The error is one mean over all values of the dataset, and `psnr` belongs to it: -10 log10(mse), undefined where
    nothing is wrong. `ssim` (Wang et al., IEEE TIP 2004) is the mean over images of 11 x 11 pixels and more.
    """

    mode = {"mse": "min", "psnr": "max", "ssim": "max"}

    def __init__(self, info: Info) -> None:
        # One entry an image: their exactly rounded sum depends neither on the order nor on the number of processes.
        self.squares: list[float] = []
        self.values = 0
        self.similar: list[float] = []

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("reconstruction", prediction, truth, "image")
            assert prediction.image is not None
            assert truth.image is not None
            guess, image = _exact(prediction.image), _exact(truth.image).to(prediction.image.device)
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
    """In float64, [0, 1]; devices without float64 leave it to the CPU."""
    image = image.cpu() if image.device.type == "mps" else image
    return image.double() / 255 if image.dtype == torch.uint8 else image.double()
