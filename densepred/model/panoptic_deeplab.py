"""Panoptic-DeepLab (arXiv 1911.10194): one encoder, a decoder for classes and one for centers and offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import Tensor, nn

from densepred.contracts import Decoder, DecoderFactory, EncoderFactory, Model
from densepred.model.encoder_decoder import cut
from densepred.nn import Normalise, SeparableConvNormAct, initialise, initialise_head, output_axes, require_odd
from densepred.types import ChannelAxes, HeadSpec, UserError


class PanopticDeepLab(Normalise, Model):
    """Heads of classes read `decoder`, heads of values `value_decoder`; a decoder without a head is left out.

    A head is a depthwise `kernel` and a 1x1 convolution to `head_width`, or `value_head_width`, and a 1x1 convolution
    to the prediction. It reads its decoder's map of its stride, or the finest.
    """

    def __init__(
        self,
        encoder: EncoderFactory,
        decoder: DecoderFactory,
        value_decoder: DecoderFactory,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        head_width: int = 256,
        value_head_width: int = 32,
        kernel: int = 5,
        norm: str = "batch",
        activation: str = "relu",
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        require_odd("model.kernel", kernel)
        self.align_corners = align_corners
        self.encoder = encoder(in_channels=channels)
        self.register_statistics(self.encoder.mean or mean, self.encoder.std or std)
        kinds = {spec.kind for spec in heads.values()}
        factories = {"classes": decoder, "values": value_decoder}
        decoders = {kind: make(self.encoder) for kind, make in factories.items() if kind in kinds}
        self.decoder, self.value_decoder = decoders.get("classes"), decoders.get("values")
        widths = {"classes": head_width, "values": value_head_width}
        self.levels: dict[str, tuple[str, int]] = {}  # per head: the kind of its decoder, and the map's level
        self.heads = nn.ModuleDict()
        for name, spec in heads.items():
            source, width = decoders[spec.kind], widths[spec.kind]
            level = level_of(name, spec, source)
            self.levels[name] = spec.kind, level
            fuse = SeparableConvNormAct(source.channels[level], width, kernel, norm=norm, activation=activation)
            initialise(fuse)
            last = nn.Conv2d(width, spec.channels, 1)
            initialise_head(last, spec)
            self.heads[name] = nn.Sequential(fuse, last)
        self.whole: dict[str, set[int]] = {kind: set() for kind in kinds}  # see `cut`
        for name, (kind, level) in self.levels.items():
            if heads[name].strides != (1,):
                self.whole[kind].add(level)
        for kind, used in decoders.items():
            used.wanted = {level for owner, level in self.levels.values() if owner == kind}

    def channel_axes(self) -> ChannelAxes:
        found: ChannelAxes = {}
        for name, head in self.heads.items():
            found |= output_axes(cast(nn.Sequential, head)[1], f"heads.{name}.1", name)
        return found

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        pyramid = self.encoder(self.normalise(image))
        pyramid.size = (image.shape[-2], image.shape[-1])
        maps: dict[str, list[Tensor]] = {}
        for kind, decoder in (("classes", self.decoder), ("values", self.value_decoder)):
            if decoder is not None:
                maps[kind] = cut(decoder(pyramid), decoder.strides, pyramid, self.whole[kind])
        found = {}
        for name, head in self.heads.items():
            kind, level = self.levels[name]
            found[name] = [head(maps[kind][level])]
        return found


def level_of(name: str, spec: HeadSpec, decoder: Decoder) -> int:
    """Return the decoder's level for a head: that of its stride, or the finest if its stride is finer still."""
    wanted = max(spec.strides[0], min(decoder.strides))
    if len(spec.strides) > 1 or wanted not in decoder.strides:
        raise UserError(
            f"head '{name}' wants maps of stride {', '.join(map(str, spec.strides))}, but model=panoptic_deeplab "
            f"predicts at one of {', '.join(map(str, decoder.strides))}; choose another task or model=fpn"
        )
    return len(decoder.strides) - 1 - decoder.strides[::-1].index(wanted)
