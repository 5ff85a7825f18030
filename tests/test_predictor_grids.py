"""Averaging heads with locations larger than pixels, on one level and on several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from densepred import predict
from densepred.cli import compose
from densepred.contracts import Codec, Model
from densepred.engine import tta
from densepred.engine.amp import Precision
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.loss.mse import MeanSquaredError
from densepred.predictor import Predictor
from densepred.task import Task
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Frame, HeadSpec, Info
from tests.conftest import composed


class Means(Codec):
    """Decode outputs as they are."""

    required = ()

    def __init__(self, info: Info) -> None:
        self.heads = {"box": HeadSpec(2, (4, 8)), "heat": HeadSpec(1, (4,)), "plain": HeadSpec(1)}

    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        return {}

    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}

    def unflip(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        back = {name: value.flip(-1) for name, value in outputs.items()}
        return back | ({"box": back["box"].flip(1)} if "box" in back else {})

    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        self.said = dict(outputs)
        return [Annotation(frame.size) for frame in frames]


class Pools(Model):
    """Cells hold means of the image; `box` also how far the edges of the (padded) image are, to the left and right."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Identity()

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        pooled = {s: F.avg_pool2d(image[:, :1], s, ceil_mode=True, count_include_pad=False) for s in (4, 8)}
        boxes = [torch.cat([p, p + 1], 1).flatten(2) for p in pooled.values()]
        return {"box": [torch.cat(boxes, 2)], "heat": [pooled[4]], "plain": [image[:, :1]]}


def applied() -> Predictor:
    task = Task(Info(), Means, {name: MeanSquaredError() for name in ("box", "heat", "plain")})
    cpu = torch.device("cpu")
    return Predictor(Pools(), task, Pipeline([]), cpu, Precision("fp32", cpu))


def averaged(size: tuple[int, int], **options: object) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the decoded outputs without and with `options`."""
    predictor = applied()
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    found = []
    for words in ({}, options):
        predictor(image, **words)
        codec = predictor.task.codec
        assert isinstance(codec, Means)
        found.append(codec.said)
    return found[0], found[1]


@pytest.mark.parametrize("size", [(16, 24), (37, 45), (3, 5)])
def test_a_mirrored_view_adds_nothing_where_the_model_does_not_care(size: tuple[int, int]) -> None:
    plain, flipped = averaged(size, flip=True)
    assert {name: value.shape for name, value in plain.items()} == {name: v.shape for name, v in flipped.items()}
    assert torch.allclose(plain["plain"], flipped["plain"])
    whole = size[1] // 4
    assert torch.allclose(plain["heat"][..., : size[0] // 4, :whole], flipped["heat"][..., : size[0] // 4, :whole])
    length = -(-size[0] // 4) * -(-size[1] // 4) + -(-size[0] // 8) * -(-size[1] // 8)
    assert flipped["box"].shape == (1, 2, length)
    # The codec trades left and right, so both channels are halfway.
    expected = plain["box"].mean(1)
    if size == (16, 24):
        assert torch.allclose(flipped["box"], expected[:, None].expand(-1, 2, -1))


class OneLevel(Means):
    """A head on a grid of stride 4 and one of each pixel; neither depends on the size of the image."""

    def __init__(self, info: Info) -> None:
        self.heads = {"heat": HeadSpec(1, (4,)), "plain": HeadSpec(1)}

    def unscale(self, outputs: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
        return dict(outputs)


@pytest.mark.parametrize("size", [(16, 24), (37, 45), (3, 5)])
@pytest.mark.parametrize("flip", [False, True])
def test_sizes_of_the_image_are_averaged_on_the_grid_of_a_coarse_head(size: tuple[int, int], flip: bool) -> None:
    """Compare with sizes one by one: each view pooled, and its cells read where those of the image lie."""
    cpu = torch.device("cpu")
    task = Task(Info(), OneLevel, {name: MeanSquaredError() for name in ("heat", "plain")})
    predictor = Predictor(Pools(), task, Pipeline([]), cpu, Precision("fp32", cpu))
    image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    predictor(image, scales=(0.5, 1.0, 1.5), flip=flip)
    found = task.codec.said
    padded = F.pad(image[None, :1], (0, -size[1] % 4, 0, -size[0] % 4), mode="replicate")
    height, width = padded.shape[-2:]
    expected = {"heat": [], "plain": []}
    for scale in (0.5, 1.0, 1.5):
        rows, columns = (max(1, round(side * scale / 4)) for side in (height, width))
        view = F.interpolate(padded, (4 * rows, 4 * columns), mode="bilinear", antialias=True)
        cells = F.avg_pool2d(view, 4)
        expected["heat"].append(F.interpolate(cells, (height // 4, width // 4), mode="bilinear"))
        expected["plain"].append(F.interpolate(view, (height, width), mode="bilinear"))
    heat = torch.stack(expected["heat"]).mean(0)[..., : -(-size[0] // 4), : -(-size[1] // 4)]
    torch.testing.assert_close(found["heat"], heat)
    torch.testing.assert_close(found["plain"], torch.stack(expected["plain"]).mean(0)[..., : size[0], : size[1]])


@pytest.mark.parametrize(("options", "word"), [({"scales": (0.5, 1.0)}, "scales"), ({"tile": 16}, "tile")])
def test_sizes_and_windows_of_coarse_heads_are_refused(options: dict[str, object], word: str) -> None:
    with pytest.raises(UserError, match=f"{word}: head box has a stride above 1; leave it out, or type flip=true"):
        averaged((16, 24), **options)


def test_sizes_of_heads_of_lengths_are_refused_before_an_image_is_read() -> None:
    settings = compose.settings(composed("task=detection_center"))
    task = parts.build(settings.task, None, "task", info=parts.dataset(settings.dataset, "train").info)
    with pytest.raises(UserError, match=r"scales: head .* cannot be averaged over sizes of the image"):
        tta.require(task, None, resized=True)
    tta.require(task, 64, resized=False)


@pytest.mark.parametrize("word", ["scales=[0.5,1.0]", "tile=16"])
def test_a_command_refuses_them_before_it_reads_an_image(word: str) -> None:
    settings = compose.settings(composed("ckpt=run", "input=images", word, name="predict"))
    with pytest.raises(UserError, match="head box has a stride above 1"):
        predict.boxes_for(applied(), settings)


def test_numbers_cannot_be_averaged_over_sizes_unless_a_codec_defines_how() -> None:
    with pytest.raises(UserError, match="scales: head box cannot be averaged over sizes"):
        Means(Info()).unscale({}, 2.0)
