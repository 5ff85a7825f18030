"""Compression as JPEG, which cameras and web pages do before anyone sees an image."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torchvision.io import decode_jpeg, encode_jpeg

from densepred.types import Sample, UserError, unit_scale


class Jpeg:
    """Encode and decode with probability `p`, at a quality from `low` to `high`, of 1 to 100.

    JPEG knows 1 and 3 channels of 8 bits: other images are refused, and floats are rounded to 8 bits.
    """

    def __init__(self, p: float = 0.3, low: int = 30, high: int = 95) -> None:
        if not 1 <= low <= high <= 100:
            raise UserError(f"jpeg: low {low}, high {high}; give 1 <= low <= high <= 100")
        self.p, self.low, self.high = p, low, high

    def __call__(self, sample: Sample, generator: Generator) -> Sample:
        channels = len(sample.image)
        if channels not in (1, 3):
            raise UserError(f"transform: JPEG has 1 or 3 channels, images have {channels}; remove jpeg")
        chance, u = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        if chance >= self.p:
            return sample
        quality = min(self.high, self.low + int(u * (self.high - self.low + 1)))
        eight = sample.image.dtype == torch.uint8
        image = sample.image if eight else unit_scale(sample.image).clamp(0, 1).mul(255).round().to(torch.uint8)
        found = decode_jpeg(encode_jpeg(image.contiguous(), quality))
        assert isinstance(found, Tensor)  # of one image
        return Sample(found.contiguous() if eight else unit_scale(found).contiguous(), sample.truth, sample.frame)
