"""CONTRIBUTING's steps are complete: two files and `make docs` add a component that passes its contract.

Each case writes the two files that CONTRIBUTING names into a copy of the repository. It regenerates the reference and
runs the contract tests of the new option there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import REPOSITORY

COPIED = ("configs", "densepred", "docs", "hydra_plugins", "scripts", "tests", "pyproject.toml", "Makefile", "LICENSE")


class Example(NamedTuple):
    """A component of a kind: the word by which CONTRIBUTING's paragraph begins, its name, its two files."""

    heading: str
    name: str
    code: str
    config: str


LOSS = Example(
    "A loss",
    "geman_mcclure",
    '''"""The Geman-McClure loss of a head of values: large errors saturate."""

from __future__ import annotations

from torch import Tensor

from densepred.contracts import SummedLoss
from densepred.ops.loss.values import differences, element_sums


class GemanMcClure(SummedLoss):
    """Mean of d^2 / (d^2 + scale^2) over the values that count. Barron, CVPR 2019 (arXiv 1701.03077)."""

    target = "values"

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        difference, weight = differences(pred, target, weight)
        square = difference.square()
        return element_sums(square / (square + self.scale**2), weight)
''',
    """# Geman-McClure loss (Barron 2019), for heads of values with outliers
# test: task=autoencoder encoder.widths=[4,8]
_target_: densepred.loss.geman_mcclure.GemanMcClure
scale: 1.0 # error at which the loss is one half
""",
)
METRIC = Example(
    "A metric",
    "agreement",
    '''"""The fraction of pixels with the true class."""

from __future__ import annotations

from densepred.contracts import Metric
from densepred.types import VOID, Annotation, Info


class Agreement(Metric):
    """Pixels with the true class over known pixels, over the whole dataset."""

    mode = {"agreement": "max"}
    requires = ("semantic",)

    def __init__(self, info: Info) -> None:
        self.right = 0
        self.known = 0

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        found = prediction.need("semantic")
        labels = truth.need("semantic").to(found.device)
        known = labels != VOID
        self.right += int((known & (labels == found)).sum())
        self.known += int(known.sum())

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Agreement)
        self.right += other.right
        self.known += other.known

    def compute(self) -> dict[str, float | None]:
        return {"agreement": self.right / self.known if self.known else None}
''',
    """# Fraction of pixels with the true class
# test: trainer.monitor=agreement
agreement:
  _target_: densepred.metric.agreement.Agreement
  _partial_: true
""",
)
MODEL = Example(
    "A model",
    "three_layers",
    '''"""Three convolutions at full resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.nn import output_axes
from densepred.types import ChannelAxes, HeadSpec


class ThreeLayers(Model):
    """Two hidden 3x3 convolutions with ReLU, and one 1x1 convolution per head."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        heads: Mapping[str, HeadSpec],
        channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        width: int = 8,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()
        )
        self.out = nn.ModuleDict({name: nn.Conv2d(width, spec.channels, 1) for name, spec in heads.items()})

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        x = self.body((image - self.mean) / self.std)
        return {name: [head(x)] for name, head in self.out.items()}

    def channel_axes(self) -> ChannelAxes:
        found: ChannelAxes = {}
        for name, conv in self.out.items():
            found |= output_axes(conv, f"out.{name}", name)
        return found
''',
    """# Three convolutions at full resolution: a baseline
_target_: densepred.model.three_layers.ThreeLayers
width: 8 # channels
""",
)
DATASET = Example(
    "A dataset",
    "sibling_masks",
    '''"""Images and masks of two classes, in folders per split."""

from __future__ import annotations

from pathlib import Path

from densepred.contracts import Dataset
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.labels import Labels
from densepred.dataset.pairs import Pair
from densepred.dataset.reader import Reader
from densepred.types import Info, Sample, UserError


class Pairs(Dataset):
    """`root` holds images/<split> and masks/<split> with equal names; ids 0 and 1."""

    def __init__(self, root: str, split: str = "train", max_pixels: int = MAX_PIXELS) -> None:
        folder = {"train": "train", "valid": "val", "test": "test"}[split]
        images = sorted((Path(root).expanduser() / "images" / folder).glob("*.png"))
        if not images:
            raise UserError(f"{root}: no images/{folder}/*.png; set dataset.root to the folder that holds images")
        masks = Path(root).expanduser() / "masks" / folder
        self.pairs = [Pair(path.stem, path, masks / path.name) for path in images]
        self.info = Info(classes=("ground", "object"), palette=((0, 0, 0), (255, 0, 0)), exif="stored")
        self._read = Reader(Labels(self.info.classes, {0: 0, 1: 1}), 3, max_pixels, "stored")

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        return self._read(self.pairs[index])
''',
    """# Images and masks of two classes: images/<split>, masks/<split>
_target_: densepred.dataset.sibling_masks.Pairs
_partial_: true
root: ??? # folder of the dataset, relative to the current folder
max_pixels: ${data.max_pixels} # larger images are refused before they are decoded
""",
)
TRANSFORM = Example(
    "A transform",
    "invert",
    '''"""Negatives."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator

from densepred.types import Sample


class Invert:
    """Replace the image by its negative with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, sample: Sample, generator: Generator) -> Sample:
        if torch.rand(1, generator=generator).item() >= self.p:
            return sample
        return replace(sample, image=(255 if sample.image.dtype == torch.uint8 else 1.0) - sample.image)
''',
    """# Random negatives, for line drawings
train:
  - _target_: densepred.transform.invert.Invert
    p: 0.5 # probability
valid: []
""",
)


def paths(example: Example) -> list[str]:
    """Return the two paths in the example's paragraph of CONTRIBUTING, code first."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (paragraph,) = (part for part in text.split("\n\n") if part.startswith(f"**{example.heading}.**"))
    named = re.findall(r"`((?:densepred|configs)/\w+/<name>\.(?:py|yaml))`", paragraph)
    code, config = sorted(set(named), reverse=True)
    assert code.endswith(".py")
    assert config.endswith(".yaml")
    return [path.replace("<name>", example.name) for path in (code, config)]


def check(root: Path, *examples: Example, step: bool = True) -> None:
    """Add the examples to a copy of the repository and run the tests there that concern them; `step` trains one too."""
    for name in (*COPIED, *(path.name for path in REPOSITORY.glob("*.md"))):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    for example in examples:
        for path, text in zip(paths(example), (example.code, example.config), strict=True):
            assert not (root / path).exists()
            (root / path).write_text(text, encoding="utf-8")
    run(root, "scripts/write_reference.py")
    assert MODEL not in examples or f"| `{MODEL.name}` |" in (root / "docs" / "semantic.md").read_text(encoding="utf-8")
    kinds = [example.heading.split()[1] for example in examples]
    contracts = [
        str(path.relative_to(root)) for kind in kinds for path in (root / "tests/contracts").glob(f"test_{kind}*")
    ]
    tests = [*contracts, "tests/cli/test_compose.py", "tests/test_documents.py"]
    tests += ["tests/program/test_options.py", "tests/test_layers.py"] if step else []
    chosen = " or ".join(["test_layers", "test_documents", *(example.name for example in examples)])
    run(root, "-m", "pytest", "-p", "no:cacheprovider", "-k", chosen, *tests)


def run(root: Path, *words: str) -> None:
    ended = subprocess.run(
        [sys.executable, *words], cwd=root, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-2000:]


def test_make_docs_is_the_command_that_these_tests_run() -> None:
    recipe = re.findall(r"^docs:.*\n\t(.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert recipe == ["$(BIN)/python scripts/write_reference.py"]
    assert "`make docs`" in (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_two_files_and_make_docs_add_a_transform(tmp_path: Path) -> None:
    check(tmp_path, TRANSFORM, step=False)


@pytest.mark.slow
def test_two_files_and_make_docs_add_a_component_of_each_kind(tmp_path: Path) -> None:
    check(tmp_path, LOSS, METRIC, MODEL, DATASET, TRANSFORM)
