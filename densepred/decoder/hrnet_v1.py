"""HRNetV1 (arXiv 1902.09212): the finest branch as it is."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import Decoder, Encoder
from densepred.decoder.levels import finest
from densepred.types import Pyramid


class HRNetV1(Decoder):
    """The encoder's finest level of at least `stride`, and no layer of its own. It has no size to change.

    The last fusion of an HRNet still makes the other levels; `encoder.single=true` leaves them out.
    """

    def __init__(self, encoder: Encoder, stride: int = 4) -> None:
        super().__init__()
        self.level = finest(encoder, stride)
        self.channels, self.strides = (encoder.channels[self.level],), (encoder.strides[self.level],)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        return [pyramid.features[self.level]]
