"""The network of an exported file: from images in [0, 1] to named outputs, normalisation included."""

from __future__ import annotations

import keyword
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.ops.resize import resample
from densepred.types import HeadSpec, UserError

LABELS, PROBABILITIES = "labels", "probabilities"
INPUT = "image"


class Network(nn.Module):
    """A model with the outputs of an exported file, in the order of `names`.

    Without `labels` and `probabilities` these are the last stages of all heads, as the model returns them. With them
    the class map takes the place of its head, at the size of the image: `labels` (B, H, W) uint8, `probabilities`
    (B, classes, H, W) float32. Other heads stay as they are.
    Raises UserError if the model has no head of classes.
    """

    def __init__(
        self, model: Model, heads: Mapping[str, HeadSpec], labels: bool = False, probabilities: bool = False
    ) -> None:
        super().__init__()
        wanted = [name for name, on in ((LABELS, labels), (PROBABILITIES, probabilities)) if on]
        self.classes = class_head(heads, wanted[0]) if wanted else None
        rename_keywords(model)
        self.model, self.wanted = model, wanted
        self.kept = [name for name in heads if name != self.classes]
        self.names = [*wanted, *map(output_name, self.kept)]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = {name: stages[-1] for name, stages in self.model(image).items()}
        parts = [] if self.classes is None else self._maps(found[self.classes], image)
        return (*parts, *(found[name] for name in self.kept))

    def _maps(self, logits: Tensor, image: Tensor) -> list[Tensor]:
        size = (image.shape[-2], image.shape[-1])
        full = resample.two_channels(resample.resize(logits, size, self.model.align_corners))
        made = {LABELS: lambda: full.argmax(1).to(torch.uint8), PROBABILITIES: lambda: full.softmax(1)}
        return [made[name]() for name in self.wanted]


class Renamed(nn.ModuleDict):
    """A dictionary of modules that are registered under names that Python code may hold: `class` as `class_`."""

    def __getitem__(self, key: str) -> nn.Module:
        return self._modules[safe(key)]  # type: ignore[return-value]

    def __contains__(self, key: object) -> bool:
        return safe(str(key)) in self._modules

    def keys(self) -> Any:
        return [original(name) for name in self._modules]

    def items(self) -> Any:
        return [(original(name), module) for name, module in self._modules.items()]


def rename_keywords(model: nn.Module) -> None:
    """Register modules under other names where theirs are keywords of Python, in place.

    torch.export writes code with these names. The model computes the same; its state dict has other names afterwards.
    """
    for module in list(model.modules()):
        names = [name for name in module._modules if safe(name) != name]
        if names and type(module) is nn.ModuleDict:
            module._modules = {safe(name): child for name, child in module._modules.items()}
            module.__class__ = Renamed


def safe(name: str) -> str:
    """Return a name that Python code may hold: keywords get an underscore."""
    return f"{name}_" if keyword.iskeyword(name) else name


def original(name: str) -> str:
    """Undo `safe`."""
    return name[:-1] if name.endswith("_") and keyword.iskeyword(name[:-1]) else name


def output_name(head: str) -> str:
    """Return the name of a head in a file; the head `image` of autoencoders would be taken for the input."""
    return f"{head}_output" if head == INPUT else head


def class_head(heads: Mapping[str, HeadSpec], wanted: str) -> str:
    """Return the name of the head that holds a class map; raise UserError if there is none."""
    found = [name for name, spec in heads.items() if spec.kind == "classes"]
    if not found:
        key = "argmax" if wanted == LABELS else wanted
        raise UserError(f"{key}=true: the heads of this model ({', '.join(heads)}) hold no class map; set {key}=false")
    return found[0]


def heads_of(outputs: Mapping[str, Tensor], heads: Mapping[str, HeadSpec], sure: float = 20.0) -> dict[str, Tensor]:
    """Return the outputs of a file as the heads of its task.

    Probabilities become their logarithms, or the logit of a sigmoid. Labels become logits with a softmax of one at the
    class of each pixel, so that decoding them gives the same class map.
    """
    found = {name: outputs[output_name(name)].float() for name in heads if output_name(name) in outputs}
    for name, spec in heads.items():
        if name in found:
            continue
        if PROBABILITIES in outputs:
            logits = outputs[PROBABILITIES].float().clamp(min=torch.finfo(torch.float32).tiny).log()
        else:
            classes = torch.arange(max(2, spec.channels), device=outputs[LABELS].device)[:, None, None]
            logits = (outputs[LABELS][:, None] == classes).float() * sure
        found[name] = logits[:, 1:] - logits[:, :1] if spec.channels == 1 else logits
    return {name: found[name] for name in heads}


def ids_alone(names: Collection[str]) -> bool:
    """Return True if the class map of a file is ids without probabilities."""
    return LABELS in names and PROBABILITIES not in names


def example(channels: int, size: Sequence[int] | None) -> Tensor:
    """Return images (2, C, H, W) to trace with: of the size given, or with three rows at a stride of 128.

    Odd sides at all strides keep torch.export from taking a rounding for an equality.
    """
    height, width = size or (293, 359)
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, channels, height, width, generator=generator)
