"""torchvision's FCOS with the same random weights: equal answers, matches, losses and detections."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.detection import FCOS as Theirs  # noqa: N811
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.resnet import resnet18
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from torchvision.ops.misc import FrozenBatchNorm2d

from densepred.cli import compose
from densepred.codec.fcos import FCOS
from densepred.jobs.parts import build
from densepred.settings import WeightsSettings
from densepred.task import Task
from densepred.types import Annotation, Frame, Info
from densepred.weights import pretrained
from densepred.weights.families import matching_families
from tests.conftest import composed

SIZE = (256, 384)  # multiples of 128: else torchvision's anchors of the last levels are not its strides apart
CLASSES = 7
INFO = Info(classes=tuple(f"class {i}" for i in range(CLASSES)), provides=("boxes", "categories"))
LEVELS = [(-(-SIZE[0] // s)) * (-(-SIZE[1] // s)) for s in (8, 16, 32, 64, 128)]


class Scene(NamedTuple):
    theirs: Theirs
    answers: dict[str, Tensor]  # of the heads, (B, L, C)
    anchors: list[Tensor]
    images: Tensor
    state: dict[str, Tensor]


def randomise(model: nn.Module) -> None:
    """Fresh heads say nearly the same everywhere, and fresh norms would hide one in the wrong place."""
    generator = torch.Generator().manual_seed(0)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif "running_mean" in name or value.ndim == 1:
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
    head = model.head
    for part in (head.classification_head, head.regression_head):  # pyright: ignore[reportAttributeAccessIssue]
        for conv in (module for module in part.modules() if isinstance(module, nn.Conv2d)):  # pyright: ignore
            conv.weight.data.normal_(0, 0.04, generator=generator)
    head.regression_head.bbox_reg.bias.data += 2.5  # pyright: ignore
    head.classification_head.cls_logits.bias.data += 2  # pyright: ignore


@pytest.fixture(scope="module")
def scene() -> Scene:
    torch.manual_seed(0)
    body = resnet18(weights=None, norm_layer=FrozenBatchNorm2d)
    backbone = _resnet_fpn_extractor(body, 5, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256))
    theirs = Theirs(backbone, CLASSES).eval()
    randomise(theirs)
    images = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        features = list(theirs.backbone(images).values())
        answers = theirs.head(features)
        anchors = theirs.anchor_generator(ImageList(images, [SIZE, SIZE]), features)
    return Scene(theirs, answers, anchors, images, theirs.state_dict())


@pytest.fixture(scope="module")
def ours(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, dict[str, list[Tensor]]]:
    """Our task and the outputs of our model on the same images, with weights from a file in their layout."""
    path = tmp_path_factory.mktemp("weights") / "fcos.safetensors"
    save_file({name: value.clone() for name, value in scene.state.items()}, path)
    assert matching_families(scene.state) == ["torchvision_fcos"]
    said: list[str] = []
    settings = compose.settings(composed("task=detection_fcos", "model=fcos_resnet50", "encoder=resnet18", "metric=[]"))
    task = Task(
        INFO,
        lambda info: FCOS(info, points="corner"),
        {name: build(node) for name, node in settings.task["losses"].items()},
        monitor="",
    )
    model = build(settings.model, heads=task.heads, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3).eval()
    pretrained.load(model, WeightsSettings(model=str(path)), {}, said.append)
    assert "normalised as for torchvision FCOS" in "".join(said)
    model.mean.zero_()  # the images of this test are normalised already
    model.std.fill_(1)
    with torch.no_grad():
        return task, model(scene.images)


def truths(seed: int, counts: tuple[int, int]) -> list[dict[str, Tensor]]:
    """Boxes of every size, in torchvision's frame: 0 is the outer edge of the first pixel.

    No side is a whole number of strides from a cell: torchvision gives no level to what is between two by a hair.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for count in counts:
        high = torch.tensor([SIZE[1], SIZE[0]])
        middle = torch.rand(count, 2, generator=generator) * high
        half = 2 ** (7 * torch.rand(count, 2, generator=generator)) + 1
        box = torch.cat([(middle - half).clamp_min(0.3), torch.minimum(middle + half, high - 0.3)], 1)
        found.append({"boxes": box, "labels": torch.randint(CLASSES, (count,), generator=generator)})
    return found


def annotation(truth: dict[str, Tensor]) -> Annotation:
    return Annotation(SIZE, boxes=truth["boxes"] - 0.5, categories=truth["labels"])


def matches(scene: Scene, given: list[dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Return the box that torchvision assigns to each location."""
    seen: list[Any] = []
    monkeypatch.setattr(scene.theirs.head, "compute_loss", lambda *args: seen.append(args[-1]))
    scene.theirs.compute_loss(given, scene.answers, scene.anchors, LEVELS)
    monkeypatch.undo()
    return seen[0]


def test_every_head_predicts_the_same(scene: Scene, ours: tuple[Task, dict[str, list[Tensor]]]) -> None:
    names = {"class": "cls_logits", "distances": "bbox_regression", "centerness": "bbox_ctrness"}
    for name, theirs in names.items():
        (mine,) = ours[1][name]
        torch.testing.assert_close(mine, scene.answers[theirs].transpose(1, 2), rtol=1e-4, atol=1e-4)
        assert mine.std() > 0.1


@pytest.mark.parametrize("seed", range(4))
def test_every_cell_is_for_the_same_box(scene: Scene, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = truths(seed, (12, 60))
    codec = FCOS(INFO, points="corner")
    for truth, matched in zip(given, matches(scene, given, monkeypatch), strict=True):
        targets = codec.encode(annotation(truth))
        positive = matched >= 0
        assert positive.sum() > 20
        assert torch.equal(targets["distances_weight"] > 0, positive)
        labels = truth["labels"][matched[positive]]
        assert torch.equal(targets["class"].sum(0) > 0, positive)
        assert targets["class"][labels, positive.nonzero()[:, 0]].all()
        want = scene.theirs.box_coder.encode(scene.anchors[0][positive], truth["boxes"][matched[positive]])
        torch.testing.assert_close(targets["distances"][:, positive].T, want, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("counts", [(12, 30), (5, 0), (0, 0)])
def test_every_loss_is_the_same(
    scene: Scene, ours: tuple[Task, dict[str, list[Tensor]]], counts: tuple[int, int]
) -> None:
    given, (task, outputs) = truths(7, counts), ours
    theirs = scene.theirs.compute_loss(given, scene.answers, scene.anchors, LEVELS)
    each = [task.codec.encode(annotation(truth)) for truth in given]
    targets = {name: torch.stack([one[name] for one in each]) for name in each[0]}
    mine = task.loss(outputs, targets)
    names = {"class": "classification", "distances": "bbox_regression", "centerness": "bbox_ctrness"}
    for name, other in names.items():
        assert mine[name].item() == pytest.approx(theirs[other].item(), rel=1e-4), name
    assert mine["total"].item() == pytest.approx(sum(theirs.values()).item(), rel=1e-4)  # pyright: ignore


def test_every_detection_is_the_same(scene: Scene, ours: tuple[Task, dict[str, list[Tensor]]]) -> None:
    split = {name: list(value.split(LEVELS, 1)) for name, value in scene.answers.items()}
    anchors = [list(one.split(LEVELS)) for one in scene.anchors]
    theirs = scene.theirs.postprocess_detections(split, anchors, [SIZE, SIZE])
    task, outputs = ours
    # Decoding is compared on the very same numbers: of scores that differ by rounding others may be the 100 best.
    same = {name: [value.transpose(1, 2)] for name, value in zip(outputs, scene.answers.values(), strict=False)}
    mine = task.decode({name: same[name] for name in task.heads}, [Frame(str(i), SIZE) for i in range(2)])
    for one, other in zip(mine, theirs, strict=True):
        assert one.boxes is not None
        assert one.scores is not None
        assert one.categories is not None
        assert len(one.boxes) == 100
        torch.testing.assert_close(one.boxes + 0.5, other["boxes"], rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(one.scores, other["scores"])
        assert torch.equal(one.categories, other["labels"])
