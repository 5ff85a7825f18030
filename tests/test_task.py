"""A task: parts that fit together, and losses over stages and heads."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from densepred.codec.openpose import OpenPose
from densepred.codec.panoptic import Panoptic
from densepred.codec.semantic import Semantic
from densepred.contracts import Codec
from densepred.errors import UserError
from densepred.loss.boundary import Boundary
from densepred.loss.ce import CrossEntropy
from densepred.loss.mse import MeanSquaredError
from densepred.loss.sum import Sum
from densepred.loss.topk import TopK
from densepred.metric.box_ap import BoxAp
from densepred.metric.confusion import Confusion
from densepred.metric.grouping import Grouping
from densepred.metric.mask_ap import MaskAp
from densepred.metric.panoptic_quality import PanopticQuality
from densepred.task import Task
from densepred.types import VOID, Annotation, Info
from tests.codec.crowd import FIGURE, PERSON

INFO = Info(classes=("a", "b", "c"))


def task(info: Info = INFO, **more) -> Task:
    settings = {"losses": {"semantic": CrossEntropy()}, "metrics": {"confusion": partial(Confusion)}, **more}
    return Task(info=info, codec=partial(Semantic), **settings)


def labels(size: tuple[int, int] = (21, 30)) -> torch.Tensor:
    found = torch.randint(0, 3, (2, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found[:, :3] = VOID
    return found


@pytest.mark.parametrize("align_corners", [False, True])
def test_coarse_logits_are_scored_on_the_grid_of_the_ground_truth(align_corners: bool) -> None:
    logits, truth = torch.randn(2, 3, 6, 8), labels()
    found = task().loss({"semantic": [logits]}, {"semantic": truth}, align_corners)
    full = F.interpolate(logits, (21, 30), mode="bilinear", align_corners=align_corners)
    expected = F.cross_entropy(full, truth.long(), ignore_index=VOID)
    assert found["total"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert found["semantic"] == found["total"]


def test_stages_weigh_equally_or_as_set_and_heads_as_set() -> None:
    stages, truth = [torch.randn(2, 3, 21, 30) for _ in range(2)], labels()
    each = [F.cross_entropy(stage, truth.long(), ignore_index=VOID).item() for stage in stages]
    even = task().loss({"semantic": stages}, {"semantic": truth})
    assert even["total"].item() == pytest.approx(sum(each) / 2, rel=1e-5)
    told = task(stages={"semantic": [0.4, 1.0]}, weights={"semantic": 3.0})
    found = told.loss({"semantic": stages}, {"semantic": truth})
    assert found["semantic"].item() == pytest.approx(0.4 * each[0] + each[1], rel=1e-5)
    assert found["total"].item() == pytest.approx(3 * found["semantic"].item(), rel=1e-6)


@pytest.mark.parametrize(("options", "weights"), [({}, (20, 12)), ({"limbs": "openpose"}, (38, 19))])
def test_the_weight_channels_makes_means_one_sum_over_the_channels_of_all_heads(options, weights) -> None:
    losses = {"paf": MeanSquaredError(), "heatmap": MeanSquaredError()}
    both = {"paf": "channels", "heatmap": "channels"}
    info = PERSON if options else FIGURE
    metrics = {"grouping": partial(Grouping)}
    made = Task(info, partial(OpenPose, **options), losses, both, metrics=metrics, monitor="joint_f1")
    counts = [spec.channels for spec in made.heads.values()]
    assert counts == list(weights)
    outputs = {name: [torch.randn(2, spec.channels, 5, 4)] for name, spec in made.heads.items()}
    targets = {name: torch.rand_like(stage) for name, (stage,) in outputs.items()}
    published = sum((outputs[name][0] - targets[name]).square().sum() for name in both)
    found = made.loss(outputs, targets)["total"] * 2 * 5 * 4 * min(counts)
    assert found.item() == pytest.approx(published.item(), rel=1e-5)


def test_a_word_that_is_no_weight_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown task\.weights\.semantic: channel; did you mean channels"):
        task(weights={"semantic": "channel"})


def test_halving_weighs_each_stage_half_as_much_as_the_next() -> None:
    """nnU-Net's weights 1, 1/2, 1/4 from the finest stage on, normalised to a sum of 1."""
    stages, truth = [torch.randn(2, 3, size, size) for size in (6, 11, 21)], labels((21, 21))
    full = [F.interpolate(stage, (21, 21), mode="bilinear") for stage in stages]
    each = [F.cross_entropy(stage, truth.long(), ignore_index=VOID).item() for stage in full]
    found = task(stages={"semantic": "halving"}).loss({"semantic": stages}, {"semantic": truth})
    assert found["total"].item() == pytest.approx((each[0] / 4 + each[1] / 2 + each[2]) / 1.75, rel=1e-5)


def test_in_evaluation_the_prediction_alone_weighs_1_and_in_training_it_must_be_weighed() -> None:
    logits, truth = torch.randn(2, 3, 21, 30), labels()
    told = task(stages={"semantic": [0.4, 0.6]})
    with pytest.raises(UserError, match=r"task\.stages\.semantic has 2 weights but the model has 1 stages"):
        told.loss({"semantic": [logits]}, {"semantic": truth})
    alone = told.eval().loss({"semantic": [logits]}, {"semantic": truth})["total"]
    assert alone.item() == pytest.approx(F.cross_entropy(logits, truth.long(), ignore_index=VOID).item(), rel=1e-5)


def test_a_weight_of_the_head_reaches_its_loss() -> None:
    logits, truth = torch.randn(2, 3, 21, 30), labels()
    weight = torch.rand(2, 21, 30)
    found = task().loss({"semantic": [logits]}, {"semantic": truth, "semantic_weight": weight})["total"]
    known = (truth != VOID) * weight
    each = F.cross_entropy(logits, truth.long(), ignore_index=VOID, reduction="none")
    assert found.item() == pytest.approx(((each * known).sum() / known.sum()).item(), rel=1e-5)


def test_distances_of_the_codec_reach_the_loss_that_asks_for_them() -> None:
    made = task(losses={"semantic": Sum([{"weight": 0.3, "loss": Boundary()}, {"loss": TopK()}])})
    logits, truth = torch.randn(2, 3, 21, 30), labels()
    targets = [made.codec.encode(Annotation((21, 30), semantic=one)) for one in truth]
    batch = {name: torch.stack([one[name] for one in targets]) for name in targets[0]}
    found = made.loss({"semantic": [logits]}, batch)["total"]
    wanted = 0.3 * Boundary()(logits, truth, None, batch["semantic_distance"]) + TopK()(logits, truth)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert set(task().codec.encode(Annotation((21, 30), semantic=truth[0]))) == {"semantic"}


def test_a_codec_without_distances_refuses_a_loss_that_asks_for_them() -> None:
    class Plain(Semantic):
        with_distance_maps = Codec.with_distance_maps

    with pytest.raises(UserError, match=r"task\.losses\.semantic: this task has no distances to boundaries"):
        Task(info=INFO, codec=partial(Plain), losses={"semantic": Boundary()})


def test_sorting_losses_take_the_prediction_on_the_grid_of_the_ground_truth() -> None:
    logits, truth = torch.randn(2, 3, 6, 8), labels()
    found = task(losses={"semantic": TopK()}).loss({"semantic": [logits]}, {"semantic": truth})["total"]
    full = F.interpolate(logits, (21, 30), mode="bilinear")
    assert found.item() == pytest.approx(TopK()(full, truth).item(), rel=1e-5)


def test_the_last_stage_is_the_prediction() -> None:
    from densepred.types import Frame

    stages = [torch.randn(1, 3, 4, 5) for _ in range(2)]
    found = task().decode({"semantic": stages}, [Frame("x", (4, 5))])[0]
    assert torch.equal(found.semantic.long(), stages[-1].argmax(1)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"losses": {"center": CrossEntropy()}}, r"task\.losses has \['center'\] but the heads are \['semantic'\]"),
        ({"losses": {"semantic": MeanSquaredError()}}, "is a loss for values, but head semantic holds classes"),
        ({"losses": {"semantic": CrossEntropy([1.0, 2.0])}}, r"loss\.class_weights has values: 2, classes: 3"),
        ({"weights": {"centre": 1.0}}, r"task\.weights names \['centre'\]; name heads: "),
        ({"stages": {"centre": [1.0]}}, r"task\.stages names"),
        ({"stages": {"semantic": "halve"}}, r"unknown task\.stages\.semantic: halve; did you mean halving"),
        (
            {"info": Info(classes=("a", "b"), provides=("boxes",))},
            "task: it needs semantic, but the dataset provides",
        ),
        ({"info": Info(classes=("a",))}, "segmentation needs two or more"),
        (
            {"info": Info(classes=("person",), keypoints=("nose",), provides=("semantic", "keypoints"))},
            "the dataset has keypoints and no class map; type task=pose or task=openpose",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_a_sentence(change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        task(**change)


def test_metrics_that_compute_one_name_are_refused_unless_a_prefix_is_set() -> None:
    info = Info(classes=("a", "b", "c"), provides=("semantic", "boxes", "instances"))
    both = {"box_ap": partial(BoxAp), "mask_ap": partial(MaskAp)}
    remedy = r"choose one of them, or set metric\.mask_ap\.prefix=mask_$"
    with pytest.raises(UserError, match=f"^metric: box_ap and mask_ap both compute ap; {remedy}"):
        task(info, metrics=both)
    made = task(info, metrics={**both, "mask_ap": partial(MaskAp, prefix="mask_")})
    assert {made.direction("ap"), made.direction("mask_ap")} == {"max"}
    with pytest.raises(UserError, match=r"first and second both compute miou; choose one of them$"):
        task(metrics={"first": partial(Confusion), "second": partial(Confusion)})


def test_an_image_needs_no_dataset_that_provides_one() -> None:
    from densepred.codec.autoencoder import Autoencoder

    made = Task(info=Info(provides=()), codec=partial(Autoencoder), losses={"image": MeanSquaredError()})
    assert list(made.heads) == ["image"]


def test_only_computed_scores_can_be_monitored() -> None:
    assert task().direction() == "max"
    assert task().direction("iou/b") == "max"
    with pytest.raises(
        UserError, match=r"trainer\.monitor: no metric computes 'iou/d'; set trainer\.monitor to one of"
    ):
        task().direction("iou/d")


def test_a_metric_of_what_the_codec_does_not_predict_is_refused_before_any_step() -> None:
    info = Info(classes=("a", "b"), things=(1,), provides=("semantic", "instances", "categories"))
    with pytest.raises(UserError, match="metric=mask_ap needs instances, which this task does not predict"):
        task(info, metrics={"mask_ap": partial(MaskAp)}).require_predicted()
    losses = {"semantic": CrossEntropy(), "center": MeanSquaredError(), "offset": MeanSquaredError()}
    quality = {"panoptic_quality": partial(PanopticQuality)}
    parts = {"info": info, "losses": losses, "metrics": quality, "monitor": "pq"}
    Task(codec=partial(Panoptic), **parts).require_predicted()
    without = Task(codec=partial(Panoptic, stuff=False), **parts)  # a prediction by it needs no metric
    told = r"needs semantic, which this task does not predict; type task\.codec\.stuff=true, or choose another metric"
    with pytest.raises(UserError, match=f"metric=panoptic_quality {told}"):
        without.require_predicted()
