"""Crowds there and back, OpenPose's own channels, flips, and what is ignored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from densepred.codec.openpose import OpenPose
from densepred.codec.skeleton import OPENPOSE, OPENPOSE_LIMBS
from densepred.errors import UserError
from densepred.types import Annotation, Frame, Info
from tests.codec.crowd import FIGURE, PERSON, crowd

OPENPOSE_PAIRS = "1-2 1-5 2-3 3-4 5-6 6-7 1-8 8-9 9-10 1-11 11-12 12-13 1-0 0-14 14-16 0-15 15-17 2-16 5-17"


def there_and_back(codec: OpenPose, truth: Annotation, frame: Frame | None = None) -> Annotation:
    targets = {name: value[None] for name, value in codec.encode(truth).items()}
    (found,) = codec.decode(codec.perfect_outputs(targets), [frame or Frame("x", truth.size)], align_corners=False)
    return found


def errors(found: Annotation, truth: Annotation) -> torch.Tensor:
    """For each true person how far the worst joint of the nearest prediction is, infinite where one is missing."""
    assert found.keypoints is not None
    assert truth.keypoints is not None
    apart = (found.keypoints[:, None, :, :2] - truth.keypoints[None, ..., :2]).norm(dim=-1)
    known = truth.keypoints[None, ..., 2] > 0
    lost = found.keypoints[:, None, :, 2] <= 0
    worst = torch.where(known, torch.where(lost, torch.inf, apart), 0).amax(-1)
    return worst.amin(0)


@pytest.mark.parametrize(
    ("info", "options"),
    [
        (FIGURE, {}),
        (FIGURE, {"stride": 4}),
        (PERSON, {}),
        (PERSON, {"neck": True}),
        (PERSON, {"limbs": "openpose"}),
        (PERSON, {"limbs": "openpose", "maximize_positives": True}),
    ],
)
def test_everyone_in_a_crowd_is_recovered_whole(info: Info, options: dict) -> None:
    codec, people = OpenPose(info, **options), 0
    for seed, size in enumerate([(368, 656), (301, 415), (368, 656), (368, 657), (500, 333)]):
        truth = crowd(info, seed, size, people=12)
        found = there_and_back(codec, truth)
        assert found.keypoints is not None
        assert truth.keypoints is not None
        assert len(found.keypoints) == len(truth.keypoints)
        assert errors(found, truth).max() < 0.5
        people += len(truth.keypoints)
    assert people > 30


def test_maps_of_a_coarser_model_are_enlarged_to_the_stride() -> None:
    """A model of stride 8 under a codec of stride 4: joints stay where they are, up to the coarser grid."""
    truth = crowd(PERSON, 0, (368, 656), people=4)
    fine = OpenPose(PERSON, stride=4, sigma=14, width=16)
    targets = fine.perfect_outputs({name: value[None] for name, value in fine.encode(truth).items()})
    coarse = {name: torch.nn.functional.avg_pool2d(value, 2) for name, value in targets.items()}
    (found,) = fine.decode(coarse, [Frame("x", truth.size)], align_corners=False)
    assert errors(found, truth).max() < 1.5


def test_few_are_torn_apart_where_limbs_cross() -> None:
    """Where limbs of one kind cover one another, their mean field leads from one person to the other, too."""
    codec, whole, people = OpenPose(PERSON), 0, 0
    for seed in range(8):
        truth = crowd(PERSON, seed, apart=20, crossing=True)
        worst = errors(there_and_back(codec, truth), truth)
        whole, people = whole + int((worst < 4).sum()), people + len(worst)
    assert people > 120
    assert whole / people > 0.9


def test_maps_are_those_of_the_published_targets() -> None:
    """A joint at pixel (43.5, 27.5) is on cell (5, 3) of stride 8; the next cell is 8 pixels away."""
    keypoints = torch.zeros(1, 17, 3)
    keypoints[0, 5] = torch.tensor([43.5, 27.5, 2.0])
    keypoints[0, 6] = torch.tensor([11.5, 27.5, 1.0])
    targets = OpenPose(PERSON, limbs="openpose").encode(Annotation((61, 93), keypoints=keypoints))
    heat = targets["heatmap"]
    assert heat.shape == (19, 8, 12)
    assert targets["paf"].shape == (38, 8, 12)
    left, neck = heat[OPENPOSE.index("left_shoulder")], heat[OPENPOSE.index("neck")]
    beside = np.exp(-(8**2) / (2 * 7**2))
    assert left[3, 5] == 1
    assert left[3, 6].item() == pytest.approx(beside)
    assert left[2, 6].item() == pytest.approx(beside**2)
    assert neck[3, 3] == 1  # midway, at pixel 27.5
    assert torch.equal(heat[-1], 1 - heat[:-1].amax(0))
    field = targets["paf"].unflatten(0, (19, 2))
    drawn = field.abs().flatten(1).any(1).nonzero().flatten().tolist()
    assert [OPENPOSE_LIMBS[i] for i in drawn] == [(1, 2), (1, 5)]  # to both shoulders
    right, left = field[drawn[0]], field[drawn[1]]
    assert right[:, 3, 2].tolist() == [-1, 0]
    assert left[:, 2:5, 4].tolist() == [[1, 1, 1], [0, 0, 0]]  # a cell above and below the line, too
    assert not left[:, [1, 5], 4].any()


def test_channels_are_those_of_the_published_model() -> None:
    """The pairs of poseParameters.cpp and the channels that it reads each of them from."""
    pairs = OPENPOSE_PAIRS.split()
    channels = (12, 20, 14, 16, 22, 24, 0, 2, 4, 6, 8, 10, 28, 30, 34, 32, 36, 18, 26)
    for pair, channel in zip(pairs, channels, strict=True):
        a, b = pair.split("-")
        assert OPENPOSE_LIMBS[channel // 2] == (int(a), int(b))


def test_a_person_without_shoulders_has_no_neck_and_keypoints_keep_their_order() -> None:
    truth = crowd(PERSON, 1, people=1)
    assert truth.keypoints is not None
    truth.keypoints[0, 5, 2] = 0
    codec = OpenPose(PERSON, limbs="openpose")
    assert not codec.encode(truth)["heatmap"][1].any()
    found = there_and_back(codec, truth)
    assert found.keypoints is not None
    assert found.keypoints.shape[1:] == (17, 3)
    assert found.keypoints[:, 5].abs().max() == 0


@pytest.mark.parametrize("options", [{}, {"limbs": "openpose"}, {"neck": True}])
def test_a_flipped_crowd_is_the_crowd_after_unflip(options: dict) -> None:
    codec, truth = OpenPose(PERSON, **options), crowd(PERSON, 4)
    assert truth.keypoints is not None
    order = [*range(17)]
    for a, b in PERSON.mirrored:
        order[a], order[b] = b, a
    mirrored = truth.keypoints[:, order].clone()
    mirrored[..., 0] = 655 - mirrored[..., 0]
    straight = codec.encode(truth)
    turned = codec.encode(replace(truth, keypoints=mirrored))
    back = codec.unflip({name: turned[name][None] for name in codec.heads})
    for name in codec.heads:
        torch.testing.assert_close(back[name][0], straight[name], atol=1e-4, rtol=0)


def test_a_skeleton_without_mirror_images_is_not_unflipped() -> None:
    codec = OpenPose(replace(PERSON, limbs=PERSON.limbs[:1]))
    with pytest.raises(UserError, match="no mirror image"):
        codec.unflip(codec.perfect_outputs({name: torch.zeros(1, h.channels, 3, 4) for name, h in codec.heads.items()}))


def test_nothing_is_learnt_where_people_are_not_labelled_or_crowds_stand() -> None:
    truth = crowd(PERSON, 0, (61, 93), people=2, height=(40, 50))
    assert truth.keypoints is not None
    truth.ignore = torch.zeros(61, 93, dtype=torch.bool)
    truth.ignore[:, :20] = True  # half of the third column of cells
    truth.crowd = torch.ones(len(truth.keypoints), dtype=torch.bool)
    targets = OpenPose(PERSON).encode(truth)
    for name in ("paf", "heatmap"):
        weight = targets[f"{name}_weight"]
        assert weight.shape == (8, 12)
        assert not weight[:, :3].any()
        assert weight[:, 3:].all()
    assert not targets["paf"].any()
    assert not targets["heatmap"][:-1].any()


def test_joints_come_back_in_the_original_image() -> None:
    truth = crowd(FIGURE, 2, (301, 415), people=3)
    assert truth.keypoints is not None
    matrix = ((0.5, 0.0, 7.0), (0.0, 2.0, -3.0))
    found = there_and_back(OpenPose(FIGURE), truth, Frame("x", (600, 215), matrix, input_size=truth.size))
    moved = truth.keypoints.clone()
    moved[..., :2] = moved[..., :2] * torch.tensor([0.5, 2.0]) + torch.tensor([7.0, -3.0])
    assert found.size == (600, 215)
    assert errors(found, replace(truth, keypoints=moved)).max() < 1


def test_no_person_one_joint_thirty_people_and_joints_outside_are_decoded() -> None:
    codec = OpenPose(PERSON)
    nobody = there_and_back(codec, Annotation((37, 45), keypoints=torch.zeros(0, 17, 3)))
    assert nobody.keypoints is not None
    assert nobody.scores is not None
    assert (nobody.keypoints.shape, nobody.scores.shape) == ((0, 17, 3), (0,))
    one = torch.zeros(1, 17, 3)
    one[0, 3] = torch.tensor([20.0, 20.0, 2.0])
    alone = there_and_back(codec, Annotation((37, 45), keypoints=one))
    assert alone.keypoints is not None
    assert len(alone.keypoints) == 0
    many = crowd(PERSON, 7, (800, 1100), people=30, height=(120, 200))
    assert many.keypoints is not None
    assert len(many.keypoints) == 30
    assert errors(there_and_back(codec, many), many).max() < 0.5
    cut = many.keypoints - torch.tensor([400.0, 300.0, 0.0])  # still called visible
    found = there_and_back(codec, Annotation((301, 415), keypoints=cut))
    inside = ((cut[..., :2] >= 16) & (cut[..., :2] < torch.tensor([415 - 16, 301 - 16]))).all(-1).all(-1)
    assert inside.any()
    assert errors(found, Annotation((301, 415), keypoints=cut[inside])).max() < 0.5


def test_images_of_a_batch_do_not_mix() -> None:
    codec = OpenPose(FIGURE)
    truths = [crowd(FIGURE, seed, (301, 415), people=n) for seed, n in ((0, 4), (1, 0), (2, 2))]
    targets = [codec.encode(truth) for truth in truths]
    outputs = codec.perfect_outputs({name: torch.stack([one[name] for one in targets]) for name in targets[0]})
    found = codec.decode(outputs, [Frame(str(i), (301, 415)) for i in range(3)], align_corners=False)
    assert [len(one.keypoints) for one in found if one.keypoints is not None] == [4, 0, 2]


@pytest.mark.parametrize(
    ("info", "options", "message"),
    [
        (Info(), {}, "names no keypoints"),
        (replace(PERSON, limbs=()), {}, "limbs=openpose"),
        (FIGURE, {"limbs": "openpose"}, r"no keypoint left_ankle.*limbs=dataset"),
        (PERSON, {"limbs": "openpos"}, "did you mean openpose"),
        (replace(FIGURE, keypoints=("skull", *FIGURE.keypoints[2:], "tail")), {"neck": True}, "neck=false"),
        (PERSON, {"sigma": 0}, r"task\.codec\.sigma"),
        (PERSON, {"stride": 0}, r"task\.codec\.stride"),
        (PERSON, {"peak": 5}, r"task\.codec\.peak: 5; give a number from 0 to 1"),
        (PERSON, {"dot": -1}, r"task\.codec\.dot"),
        (PERSON, {"ratio": 95}, r"task\.codec\.ratio"),
        (PERSON, {"score_threshold": -0.1}, r"task\.codec\.score_threshold"),
    ],
)
def test_skeletons_that_cannot_be_grouped_are_refused_with_the_remedy(info: Info, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        OpenPose(info, **options)
