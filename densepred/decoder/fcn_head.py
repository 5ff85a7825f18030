"""torchvision's FCN head: a 3x3 convolution to a quarter of the channels, on one level of the encoder."""

from __future__ import annotations

from torch import Tensor, nn

from densepred.contracts import Decoder, Encoder
from densepred.nn import ConvNormAct, initialise
from densepred.types import Pyramid, UserError


class FCNHead(Decoder):
    """One map at the stride of the encoder's `level`; -1 is the deepest. The model's 1x1 convolution ends the head."""

    def __init__(
        self,
        encoder: Encoder,
        level: int = -1,
        width: int | None = None,
        norm: str = "batch",
        activation: str = "relu",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        count = len(encoder.channels)
        if not -count <= level < count:
            raise UserError(f"decoder.level: {level}, and the encoder has {count} levels; give {-count} to {count - 1}")
        wide = encoder.channels[level]
        width = max(1, wide // 4) if width is None else width
        self.level = level
        self.channels, self.strides = (width,), (encoder.strides[level],)
        self.conv = ConvNormAct(wide, width, norm=norm, activation=activation)
        self.dropout = nn.Dropout(dropout)
        initialise(self)

    def forward(self, pyramid: Pyramid) -> list[Tensor]:
        return [self.dropout(self.conv(pyramid.features[self.level]))]
