"""OpenPose (arXiv 1611.08050): stages that read features and the predictions before, one branch per head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred.contracts import EncoderFactory, Model
from densepred.nn import (
    ConvNormAct,
    Normalise,
    SeparableConvNormAct,
    ceil_div,
    choose,
    initialise,
    initialise_head,
    input_axes,
    output_axes,
    require_odd,
)
from densepred.ops.resize import resample
from densepred.types import ChannelAxes, HeadSpec, UserError


class OpenPose(Normalise, Model):
    """The first stage reads the features, each later one also the predictions of the stage before, of all heads.

    Features are two 3x3 convolutions, or one per width of `features`, on the encoder's level at the stride of the
    heads; coarser levels of a deeper encoder are enlarged and joined to it.
    A stage is `first_depth` or `depth` blocks, a 1x1 convolution to `first_hidden` or `width` and one to the
    prediction. `shared` lets the heads of a stage share its blocks, as the lightweight form does (arXiv 1811.12004).
    With `bgr` channels are reversed after they were normalised, as the published weights expect.

    In training every head's list holds all stages, in evaluation mode only the last. Images are padded with the
    mean at the right and the bottom, to multiples of every level's stride.
    """

    def __init__(
        self,
        encoder: EncoderFactory,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        stages: int = 6,
        features: Sequence[int] = (256, 128),
        width: int = 128,
        block: str = "plain",
        kernel: int = 7,
        depth: int = 5,
        first_depth: int = 3,
        first_hidden: int = 512,
        shared: bool = False,
        norm: str = "none",
        activation: str = "relu",
        bgr: bool = False,
    ) -> None:
        super().__init__()
        self.bgr = bgr
        if stages < 1:
            raise UserError(f"model.stages: {stages}; give 1 or more")
        require_odd("model.kernel", kernel)
        if not features:
            raise UserError("model.features: give the widths of one convolution or more, such as [256,128]")
        choose("model.block", block, BLOCKS)
        self.encoder = encoder(in_channels=channels)
        self.register_statistics(self.encoder.mean or mean, self.encoder.std or std)
        self.stride, self.levels = levels(heads, self.encoder.strides)
        self.multiple = max(self.encoder.strides)
        wide = [sum(self.encoder.channels[i] for i in self.levels), *features]
        self.features = nn.Sequential(*(ConvNormAct(a, b, norm=norm, activation=activation) for a, b in pairwise(wide)))
        make = {"norm": norm, "activation": activation}
        self.seen = wide[-1]  # channels of the features
        seen = wide[-1] + sum(spec.channels for spec in heads.values())
        self.stages = nn.ModuleList()
        for number in range(stages):
            first = number == 0
            reach = {"kernel": 3, "depth": first_depth} if first else {"kernel": kernel, "depth": depth}
            blocks = partial(trunk, width=width, block="plain" if first else block, make=make, **reach)
            hidden = first_hidden if first else width
            self.stages.append(Stage(blocks, wide[-1] if first else seen, width, hidden, heads, shared, make))
        initialise(self.features)
        self.pruned = 0

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        features = self.features(self._see(image))
        answers: list[dict[str, Tensor]] = []
        last = len(self.stages) - (0 if self.training else self.pruned)
        for stage in self.stages[:last]:
            seen = torch.cat([*answers[-1].values(), features], 1) if answers else features
            answers.append(stage(seen))
        given = answers if self.training else answers[-1:]
        return {name: [answer[name] for answer in given] for name in given[0]}

    def channel_axes(self) -> ChannelAxes:
        """Stages after the first also read the predictions of all heads, then the features."""
        found: ChannelAxes = {}
        for number, stage in enumerate(cast(list[Stage], self.stages)):
            names = list(stage.branches)
            seen = (*names, self.seen) if number else ()
            found |= stage.channel_axes(f"stages.{number}", seen)
        return found

    def skip_stages(self, stages: int) -> None:
        if not 0 <= stages < len(self.stages):
            raise UserError(
                f"skip_stages={stages}: the stages before the prediction are {len(self.stages) - 1}; give 0 to that"
            )
        self.pruned = stages

    def _see(self, image: Tensor) -> Tensor:
        """Return the encoder's maps at the stride of the heads and coarser, joined, of ceil(size / stride) rows."""
        height, width = image.shape[-2:]
        down, right = -height % self.multiple, -width % self.multiple
        image = self.normalise(image)  # mean and std are in the order of the image's channels
        pyramid = self.encoder(F.pad(image.flip(1) if self.bgr else image, (0, right, 0, down)))
        size = (height + down) // self.stride, (width + right) // self.stride
        maps = torch.cat([resample.resize(pyramid.features[i], size) for i in self.levels], 1)
        return maps[..., : ceil_div(height, self.stride), : ceil_div(width, self.stride)]


class Stage(nn.Module):
    """Blocks, and per head a 1x1 convolution and one to the prediction; each head has its blocks unless shared."""

    def __init__(
        self,
        blocks: Callable[[int], nn.Sequential],
        start: int,
        width: int,
        hidden: int,
        heads: Mapping[str, HeadSpec],
        shared: bool,
        make: Mapping[str, str],
    ) -> None:
        super().__init__()
        self.trunk = blocks(start) if shared else nn.Identity()
        self.branches = nn.ModuleDict(
            {
                name: nn.Sequential(
                    *(() if shared else blocks(start)),
                    ConvNormAct(width, hidden, 1, norm=make["norm"], activation=make["activation"]),
                    nn.Conv2d(hidden, spec.channels, 1),
                )
                for name, spec in heads.items()
            }
        )
        initialise(self)
        for name, spec in heads.items():
            branch = self.branches[name]
            assert isinstance(branch, nn.Sequential)
            last = branch[-1]
            assert isinstance(last, nn.Conv2d)
            initialise_head(last, spec)

    def channel_axes(self, place: str, seen: tuple[str | int, ...]) -> ChannelAxes:
        """Return the axes of the stage at `place`; its input channels are `seen`, () if they are of no head."""
        found: ChannelAxes = {}
        if seen and isinstance(self.trunk, nn.Sequential):
            found |= input_axes(self.trunk[0], f"{place}.trunk.0", seen)
        for name, branch in self.branches.items():
            layers = cast(nn.Sequential, branch)
            if seen and not isinstance(self.trunk, nn.Sequential):
                found |= input_axes(layers[0], f"{place}.branches.{name}.0", seen)
            found |= output_axes(layers[-1], f"{place}.branches.{name}.{len(layers) - 1}", name)
        return found

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.trunk(x)
        return {name: branch(x) for name, branch in self.branches.items()}


class Dilated(nn.Module):
    """The refinement block of lightweight OpenPose: 1x1, then 3x3 twice, the second dilated, beside a shortcut.

    Its field of view is that of a convolution of `kernel`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, norm: str, activation: str) -> None:
        super().__init__()
        far = max(1, kernel // 2 - 1)
        self.first = ConvNormAct(in_channels, out_channels, 1, norm=norm, activation=activation)
        self.body = nn.Sequential(
            ConvNormAct(out_channels, out_channels, 3, norm=norm, activation=activation),
            ConvNormAct(out_channels, out_channels, 3, dilation=far, norm=norm, activation=activation),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return x + self.body(x)


def _plain(in_channels: int, out_channels: int, kernel: int, norm: str, activation: str) -> nn.Module:
    return ConvNormAct(in_channels, out_channels, kernel, norm=norm, activation=activation)


def _separable(in_channels: int, out_channels: int, kernel: int, norm: str, activation: str) -> nn.Module:
    return SeparableConvNormAct(in_channels, out_channels, kernel, norm=norm, activation=activation)


BLOCKS: dict[str, Callable[[int, int, int, str, str], nn.Module]] = {
    "plain": _plain,
    "dilated": Dilated,
    "separable": _separable,
}


def trunk(start: int, width: int, kernel: int, depth: int, block: str, make: Mapping[str, str]) -> nn.Sequential:
    """Return `depth` blocks; the first takes `start` channels, all give `width`."""
    if depth < 1:
        raise UserError(f"model.depth or model.first_depth: {depth}; give 1 or more")
    widths = [start, *[width] * depth]
    return nn.Sequential(*(BLOCKS[block](a, b, kernel, make["norm"], make["activation"]) for a, b in pairwise(widths)))


def levels(heads: Mapping[str, HeadSpec], strides: Sequence[int]) -> tuple[int, list[int]]:
    """Return the stride of all heads, and the encoder's levels of that stride and coarser."""
    wanted = sorted({stride for spec in heads.values() for stride in spec.strides})
    if len(wanted) != 1:
        raise UserError(
            f"model=openpose predicts at one stride, but the heads want {', '.join(map(str, wanted))}; choose a task "
            "with one stride, or model=fpn"
        )
    stride = max(wanted[0], min(strides))
    found = [i for i, one in enumerate(strides) if one >= stride]
    if not found or any(strides[i] % stride for i in found):
        raise UserError(
            f"the heads want maps of stride {stride}, which the encoder's {', '.join(map(str, strides))} do not lead "
            "to; choose another encoder or task.codec.stride"
        )
    return stride, found
