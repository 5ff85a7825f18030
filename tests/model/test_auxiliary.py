from __future__ import annotations

from functools import partial

import torch

from densepred.decoder.fcn_head import FCNHead
from densepred.decoder.fpn import FPN
from densepred.encoder.resnet import ResNet
from densepred.loss.ce import CrossEntropy
from densepred.model.auxiliary import Auxiliary
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.task import Task
from densepred.types import HeadSpec
from densepred.upsample.nearest import Nearest

ENCODER = partial(ResNet, depth=18)
DECODER = partial(FPN, upsample=Nearest, width=8)


def made(**heads: HeadSpec) -> Auxiliary:
    torch.manual_seed(0)
    return Auxiliary(ENCODER, DECODER, partial(FCNHead, level=-2), heads, 3, (0.5,) * 3, (0.25,) * 3)


def test_the_prediction_is_that_of_the_encoder_decoder_without_the_auxiliary_head() -> None:
    model = made(semantic=HeadSpec(5, kind="classes")).eval()
    bare = EncoderDecoder(
        ENCODER, DECODER, {"semantic": HeadSpec(5, kind="classes")}, 3, (0.5,) * 3, (0.25,) * 3
    ).eval()
    left = bare.load_state_dict(model.state_dict(), strict=False)
    assert not left.missing_keys
    assert {key.partition(".")[0] for key in left.unexpected_keys} == {"auxiliary_decoder", "auxiliary_heads"}
    image = torch.rand(1, 3, 37, 45)
    (answer,) = model(image)["semantic"]
    assert torch.equal(answer, bare(image)["semantic"][-1])
    model.training = True  # of the whole alone: its norms stay in evaluation mode
    auxiliary, answer = model(image)["semantic"]
    assert torch.equal(answer, bare(image)["semantic"][-1])
    assert auxiliary.shape == (1, 5, 3, 3)


def test_the_encoder_learns_from_the_auxiliary_stage_down_to_its_level_only() -> None:
    model = made(semantic=HeadSpec(5, kind="classes"))
    model(torch.rand(2, 3, 64, 64))["semantic"][0].square().mean().backward()
    learned = {name for name, value in model.named_parameters() if value.grad is not None}
    assert any(name.startswith("encoder.body.layer3") for name in learned)
    assert not any(name.startswith(("encoder.body.layer4", "decoder.", "heads.")) for name in learned)


def test_heads_that_the_auxiliary_map_cannot_serve_have_their_prediction_only() -> None:
    model = made(fine=HeadSpec(2), boxes=HeadSpec(4, (8, 16)), coarse=HeadSpec(1, (32,)))
    assert {name: len(stages) for name, stages in model(torch.rand(1, 3, 64, 64)).items()} == {
        "fine": 2,
        "boxes": 1,
        "coarse": 1,
    }


def test_task_stages_weigh_the_two() -> None:
    """torchvision's reference training: the loss of the answer plus half that of the auxiliary head."""
    from densepred.codec.semantic import Semantic
    from densepred.types import Info

    info = Info(classes=("a", "b", "c"), palette=((0, 0, 0), (1, 1, 1), (2, 2, 2)))
    task = Task(info, Semantic, {"semantic": CrossEntropy()}, stages={"semantic": [0.5, 1.0]})
    outputs = made(**task.heads)(torch.rand(2, 3, 64, 64))
    targets = {"semantic": torch.randint(0, 3, (2, 64, 64), dtype=torch.uint8)}
    want = sum(
        weight
        * torch.nn.functional.cross_entropy(
            torch.nn.functional.interpolate(stage, (64, 64), mode="bilinear"), targets["semantic"].long()
        )
        for weight, stage in zip((0.5, 1.0), outputs["semantic"], strict=True)
    )
    torch.testing.assert_close(task.loss(outputs, targets)["total"], want)
