"""Any image model of timm that gives feature maps."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn

from densepred.encoder.activation_checkpointing import Checkpointed
from densepred.errors import suggest
from densepred.hub import published
from densepred.hub.input_channels import adapt_statistics
from densepred.hub.published import State
from densepred.nn import ceil_div
from densepred.ops.geometry.mirror import continued
from densepred.types import Pyramid, UserError

ANY_SIZE = ({"strict_img_size": False}, {"dynamic_img_size": True}, {})
"""Options for inputs of any size in timm's families: Swin, vision transformers, and families without any.

Swin comes first: before timm 1.0.31 it takes the option of the others and ignores it.
"""


class Timm(Checkpointed):
    """`name` as timm lists it, with or without a tag. `body` has timm's own keys.

    `levels` keeps the first so many feature maps, and leaves out the stages after them.

    timm's models disagree on odd sizes: some refuse them (HRNet), some drop the last pixels (ConvNeXt). So the image
    is padded by reflection to multiples of the last stride, at least two, and features are cropped to
    ceil(size / stride).
    """

    def __init__(
        self,
        in_channels: int,
        name: str = "resnet34",
        output_stride: int | None = None,
        pretrained: bool = False,
        drop_path: float | None = None,
        levels: int | None = None,
    ) -> None:
        super().__init__()
        check_name(name)
        if levels is not None and levels < 1:
            raise UserError(f"encoder.levels={levels}: give 1 or more, or null for all of {name}")
        self.name, self.in_channels = name, in_channels
        options: dict[str, Any] = {"in_chans": in_channels, "output_stride": output_stride, "drop_path_rate": drop_path}
        if levels is not None:
            options["out_indices"] = tuple(range(levels))
        if name.startswith("hrnet"):
            options = {**options, "feature_location": ""}  # else its maps are those of the classifier
        state = published.of_timm(name) if pretrained else None
        try:
            self.body = create(name, state, {key: value for key, value in options.items() if value is not None})
        except IndexError as error:
            raise UserError(f"encoder.levels={levels}: {name} has fewer feature maps; give fewer, or null") from error
        facts: Any = self.body
        self.strides = tuple(facts.feature_info.reduction())
        self.channels = tuple(facts.feature_info.channels())
        self.pooled = (None,) * len(self.channels)
        if output_stride is not None and max(self.strides) > output_stride:  # some families ignore the option
            raise UserError(
                f"encoder.name={name}: timm refuses output_stride={output_stride}: its last map has stride "
                f"{max(self.strides)}; set encoder.output_stride=null"
            )
        self.channels_last = self._probe(name, in_channels)
        if pretrained and (weights := timm.get_pretrained_cfg(name)) is not None:
            self.mean = adapt_statistics(tuple(weights.mean), in_channels)
            self.std = adapt_statistics(tuple(weights.std), in_channels)

    def _probe(self, name: str, in_channels: int) -> bool:
        """Return True if maps are (B, h, w, C); raise UserError if the model rejects a small image."""
        size = self._least()
        self.body.eval()
        try:
            with torch.no_grad():
                last = self.body(torch.zeros(1, in_channels, *size))[-1]
        except (AssertionError, RuntimeError) as error:
            raise UserError(
                f"encoder.name={name} takes no image of {size[0]}x{size[1]} ({str(error).splitlines()[0]}); "
                "choose a model that works at any size, as convolutional ones do"
            ) from error
        self.body.train()
        return last.shape[1] != self.channels[-1]

    def checkpoint(self) -> None:
        """Let timm compute activations again, in the blocks or stages that it chooses for each family."""
        kept = self._kept()
        body: Any = getattr(self.body, "model", self.body)  # where a model gives its features itself, timm wraps it
        try:
            body.set_grad_checkpointing(True)
            reason = "" if self._kept() < kept else "nothing is computed again"
        except (AssertionError, AttributeError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
        if reason:
            raise UserError(
                f"trainer.checkpointing=true: not for timm's encoder.name={self.name} ({reason}); set "
                "trainer.checkpointing=false, or choose a model of another family"
            )
        super().checkpoint()

    def _kept(self) -> int:
        """Return the bytes that the forward pass of a small image keeps for the backward pass, which is tried too."""
        weights = [weight for weight in self.body.parameters() if weight.requires_grad]
        own = {value.untyped_storage().data_ptr() for value in [*weights, *self.body.buffers()]}
        kept: dict[int, Tensor] = {}

        def keep(x: Tensor) -> Tensor:
            if x.untyped_storage().data_ptr() not in own:
                kept[x.untyped_storage().data_ptr()] = x
            return x

        self.body.eval()  # draws no random numbers
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            maps = self.body(torch.zeros(1, self.in_channels, *self._least(), device=weights[0].device))
        torch.autograd.grad([x.sum() for x in maps], weights, allow_unused=True)
        self.body.train()
        return sum(x.untyped_storage().nbytes() for x in kept.values())

    def _least(self) -> tuple[int, int]:
        """Return the size of a small image that is not square."""
        return 2 * max(self.strides), 3 * max(self.strides)

    def forward(self, image: Tensor) -> Pyramid:
        size, cell = image.shape[-2:], max(self.strides)
        height, width = (max(2, ceil_div(length, cell)) * cell for length in size)
        features = self.body(continued(image, height, width))
        if self.channels_last:
            features = [x.permute(0, 3, 1, 2) for x in features]
        features = [
            x[..., : ceil_div(size[0], stride), : ceil_div(size[1], stride)]
            for x, stride in zip(features, self.strides, strict=True)
        ]
        return Pyramid(features, [None] * len(features))


def check_name(name: str) -> None:
    """Refuse all but plain names: timm would also read `hf-hub:` and `local-dir:`, which lead to arbitrary files."""
    if not re.fullmatch(r"[a-z0-9_.]+", name):
        raise UserError(f"encoder.name={name}: timm's model names hold only a-z, 0-9, _ and .; see timm.list_models()")
    if not timm.is_model(name):
        guess = suggest(name.partition(".")[0], timm.list_models(), "see timm.list_models()", 3)
        raise UserError(f"encoder.name={name}: timm has no such model; {guess}")


def create(
    name: str, state: State | None, options: dict[str, Any], ways: Sequence[dict[str, Any]] = ANY_SIZE
) -> nn.Module:
    """Return timm's feature extractor with the first options for inputs of any size that it accepts.

    `state` holds published weights, if it is to start from them.
    """
    told: dict[str, Any] = {**options, **ways[0]}
    if state is not None:  # else timm would open files of its cache without restriction
        told["pretrained_cfg_overlay"] = {"state_dict": dict(state.tensors), "custom_load": False}
    try:
        with _quiet():
            body = timm.create_model(name, pretrained=state is not None, features_only=True, **told)
    except (AssertionError, OSError, RuntimeError, TypeError) as error:
        if isinstance(error, TypeError) and len(ways) > 1:
            return create(name, state, options, ways[1:])
        asked = ", ".join(f"{key}={value}" for key, value in options.items())
        remedy = "null for what it lacks"
        if state is not None and not isinstance(error, TypeError):
            remedy = f"encoder.pretrained=false, or remove {state.path} if it is of another model"
        elif options.get("output_stride"):
            remedy = "encoder.output_stride=null"
        raise UserError(
            f"encoder.name={name}: timm refuses {asked}: {str(error).splitlines()[0]}; set {remedy}"
        ) from error
    if state is not None:
        check_taken(name, body, state)
    for part in body.modules():  # timm keeps them beside the model
        if isinstance(facts := getattr(part, "pretrained_cfg", None), dict):
            facts.pop("state_dict", None)
    fix_same_padding(body)
    return body


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep timm from listing the weights of the classifier, which feature extractors lack; see `check_taken`."""
    log = logging.getLogger("timm")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


class FixedSame(nn.Conv2d):
    """A convolution with TensorFlow's "SAME" padding, for inputs of which the stride divides both sides.

    The padding then depends on no size. Computed from symbolic sizes, one within the other, it kept torch.export busy
    for more than ten minutes.
    """

    around: tuple[int, ...]

    def forward(self, input: Tensor) -> Tensor:
        padded = F.pad(input, self.around)
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def fix_same_padding(body: nn.Module) -> None:
    """Give convolutions of "SAME" padding a fixed one, in place: `Timm` passes multiples of the largest stride."""
    found: list[Any] = [part for part in body.modules() if isinstance(part, Conv2dSame)]
    for part in found:
        sides = zip(part.kernel_size, part.stride, part.dilation, strict=True)
        needed = [max((kernel - 1) * dilation + 1 - stride, 0) for kernel, stride, dilation in sides]
        part.__class__ = FixedSame
        part.around = tuple(width for total in reversed(needed) for width in (total // 2, total - total // 2))


def check_taken(name: str, body: nn.Module, state: State) -> None:
    """Refuse a file of another model: where only features are wanted, timm skips names that it does not know."""
    held = {value.double().sum().item() for value in state.tensors.values() if value.ndim > 1}
    own = [value for value in body.state_dict().values() if value.ndim > 1]
    taken = sum(value.double().sum().item() in held for value in own)
    if taken < len(own) / 2:  # some families change the shapes of a few
        raise UserError(
            f"{state.path}: {taken} of {len(own)} weights of {name} come from it: it is of another model; remove it to "
            "fetch it again"
        )
