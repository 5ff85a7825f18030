"""Top-down networks train on pairs of image and instance and are evaluated on whole images."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from densepred import distributed
from densepred.cli import compose
from densepred.codec.pose import Pose
from densepred.contracts import Dataset, Metric
from densepred.engine.amp import Precision
from densepred.engine.evaluate import evaluate
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.loader import crops
from densepred.loader.crops import Crops, Instances
from densepred.loader.loaders import EvaluationLoader, Order, TrainingLoader
from densepred.loader.samples import TrainingSamples
from densepred.loss.mse import MeanSquaredError
from densepred.metric.pck import Pck
from densepred.task import Task
from densepred.transform.instance_crop import InstanceCrop
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Batch, Frame, Info, Outputs, Sample
from tests.conftest import composed

CPU = torch.device("cpu")
INFO = Info(
    classes=("person",),
    palette=((9, 9, 9),),
    keypoints=("a", "b", "c"),
    provides=("keypoints", "boxes", "categories", "crowd", "areas"),
)
CROP = Pipeline([InstanceCrop((64, 48), scale=0.0, rotate=0.0, half_body=0.0)])


class People(Dataset):
    """Images with so many people each; of every third person nothing is labelled, every fourth is a crowd."""

    info = INFO

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts, self.read = counts, 0

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: int) -> Sample:
        self.read += 1
        draw = torch.Generator().manual_seed(index)
        size, count = (90 + index, 130), self.counts[index]
        corner = torch.rand(count, 2, generator=draw) * 50
        boxes = torch.cat([corner, corner + 20 + 30 * torch.rand(count, 2, generator=draw)], 1)
        share = 0.2 + 0.6 * torch.rand(count, 3, 2, generator=draw)  # two cells from the border or more
        inside = boxes[:, None, :2] + share * (boxes[:, 2:] - boxes[:, :2])[:, None]
        keypoints = torch.cat([inside, torch.full((count, 3, 1), 2.0)], 2)
        keypoints[2::3] = 0
        crowd = torch.zeros(count, dtype=torch.bool)
        crowd[3::4] = True
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        kinds = torch.zeros(count, dtype=torch.int64)
        truth = Annotation(size, keypoints=keypoints, boxes=boxes, categories=kinds, crowd=crowd, areas=areas)
        image = torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=draw)
        return Sample(image, truth, Frame(f"{index:02d}", size))


class Echo(torch.nn.Module):
    """Return the ground-truth maps that it was built with; `most` is the largest number of inputs at a time."""

    align_corners = False

    def __init__(self, maps: Sequence[Tensor]) -> None:
        super().__init__()
        self.maps, self.place, self.most = torch.cat(list(maps)), 0, 0

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        here = self.maps[self.place : self.place + len(image)]
        self.place, self.most = self.place + len(image), max(self.most, len(image))
        return {"heatmap": [here]}


def pose_task() -> Task:
    return Task(INFO, Pose, {"heatmap": MeanSquaredError()}, metrics={"pck": Pck}, monitor="pck")


def evaluated(counts: Sequence[int], size: int = 4, boxes: Sequence[Annotation] | None = None):
    """Evaluate a network that returns the ground-truth maps: scores, pairs of annotations, the network."""
    task, seen = pose_task(), []
    data = People(counts)
    loader = EvaluationLoader(Crops(data, CROP, task.codec, boxes), size, 0, 10, False)
    truth = [batch.targets["heatmap"] for batch in loader if batch.targets]
    model = Echo(truth or [torch.zeros(99, 3, 16, 12)])

    def look(batch: Batch, found: Sequence[Annotation], outputs: Outputs) -> None:
        seen.extend(zip(found, batch.truths, strict=True))

    values = evaluate(model, task, loader, CPU, Precision("fp32", CPU), look)  # type: ignore[arg-type]
    return values, seen, model


def test_pairs_are_the_labelled_people_that_are_no_crowd() -> None:
    pairs = Instances(People([2, 0, 9]))
    assert pairs.pairs.tolist() == [[0, 0], [0, 1], [2, 0], [2, 1], [2, 4], [2, 6]]
    sample = pairs[3]
    whole = People([2, 0, 9])[2]
    assert sample.frame == Frame("02", (92, 130), instance=1)
    assert torch.equal(sample.image, whole.image)
    assert sample.truth.keypoints is not None
    assert whole.truth.keypoints is not None
    assert torch.equal(sample.truth.keypoints, whole.truth.keypoints[1:2])


def test_boxes_without_area_are_left_out() -> None:
    class Flat(People):
        def __getitem__(self, index: int) -> Sample:
            sample = super().__getitem__(index)
            assert sample.truth.boxes is not None
            sample.truth.boxes[0, 2] = sample.truth.boxes[0, 0]
            return sample

    assert Flat([2]).labelled(0) == [1]


def test_one_instance_keeps_its_fields_and_nothing_as_large_as_the_image() -> None:
    truth = Annotation((4, 5), torch.zeros(4, 5), boxes=torch.rand(3, 4), head_boxes=torch.rand(3, 4))
    one = crops.focus(truth, 1)
    assert (one.semantic, one.size) == (None, (4, 5))
    assert torch.equal(one.need("boxes"), truth.need("boxes")[1:2])
    assert torch.equal(one.need("head_boxes"), truth.need("head_boxes")[1:2])


def test_a_perfect_network_is_evaluated_on_whole_images() -> None:
    """Images of 0, 1, 5 and 30 people: one row per labelled person, and none for an image without people."""
    values, seen, model = evaluated([0, 1, 30, 0, 5, 2])
    assert [len(truth.keypoints) for _, truth in seen] == [0, 1, 30, 0, 5, 2]
    for found, truth in seen:
        assert found.size == truth.size
        assert torch.equal(found.boxes, truth.boxes)
        labelled = (truth.keypoints[..., 2] > 0).any(1) & ~truth.crowd
        assert torch.equal(found.scores > 0, labelled)
        off = (found.keypoints - truth.keypoints)[labelled][..., :2].norm(dim=-1)
        assert float(off.max()) < 0.5 if len(off) else True
        assert float(found.keypoints[~labelled].abs().sum()) == 0
    assert values["pck"] == 1
    assert values["epe"] < 0.2
    assert values["loss/total"] == 0
    assert model.most == 4  # thirty people go through the network in chunks


def test_only_images_without_people_are_evaluated_too() -> None:
    values, seen, _ = evaluated([0, 0, 0])
    assert len(seen) == 3
    assert values["pck"] is None


def test_detected_boxes_have_scores_and_no_targets() -> None:
    given = Annotation(
        (0, 0), boxes=torch.tensor([[0.0, 0, 40, 50], [60.0, 10, 90, 80]]), scores=torch.tensor([0.9, 0.4])
    )
    empty = Annotation((0, 0), boxes=torch.zeros(0, 4), scores=torch.zeros(0))
    values, seen, _ = evaluated([3, 2], boxes=[given, empty])
    assert [len(found.boxes) for found, _ in seen] == [2, 0]
    assert seen[0][0].size == (90, 130)
    assert not [name for name in values if name.startswith("loss/")]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_batches_hold_neighbouring_images_and_no_more_crops_than_wanted(size: int) -> None:
    samples = Crops(People([2, 0, 0, 9, 1, 1, 1, 0]), CROP, Pose(INFO))
    batches = samples.batches(size)
    assert [i for batch in batches for i in batch] == list(range(8))
    assert all(samples.inputs(batch) <= size or len(batch) == 1 for batch in batches)
    assert all(len(batch) <= max(size, 1) for batch in batches)
    assert samples.inputs(range(8)) == len(Instances(People([2, 0, 0, 9, 1, 1, 1, 0])))


@pytest.mark.parametrize("world", [2, 3])
def test_any_number_of_processes_counts_the_same(monkeypatch: pytest.MonkeyPatch, world: int) -> None:
    counts = [2, 0, 7, 1, 1, 12, 0, 3]
    alone, _, _ = evaluated(counts)
    whole = Pck(INFO)
    for rank in range(world):
        monkeypatch.setattr(distributed, "world", lambda: world)
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(distributed, "gather", lambda value: [value])
        _, mine, _ = evaluated(counts)
        part: Metric = Pck(INFO)
        part.update([found for found, _ in mine], [truth for _, truth in mine])
        whole.merge(part)
    assert whole.compute() == {name: alone[name] for name in whole.compute()}


def loader(workers: int):
    words = ("task=pose", "dataset.size=[48,64]", "dataset.counts={train: 12, valid: 3, test: 3}", "data.batch_size=4")
    settings = compose.settings(composed(*words, "data.crop=[32,32]", f"data.workers={workers}"))
    train = parts.dataset(settings.dataset, "train")
    augment = parts.pipeline(settings.transform["train"], train.info, "train")
    return parts.training_loader(train, augment, Pose(train.info), settings.data, settings.seed, CPU)


def content(batches) -> list[tuple]:
    return [(b.image.numpy().tobytes(), b.targets["heatmap"].numpy().tobytes(), b.frames) for b in batches]


def test_training_batches_depend_on_nothing_but_epoch_and_place() -> None:
    whole = content(loader(0).epoch(2))
    assert len(whole) > 1
    assert content(loader(2).epoch(2)) == whole
    assert content(loader(0).epoch(2, start=1)) == whole[1:]
    assert content(loader(0).epoch(3)) != whole


def test_transforms_that_crop_no_instance_are_refused() -> None:
    settings = compose.settings(composed("task=pose", "transform=default", "data.workers=0"))
    data = parts.dataset(settings.dataset, "train")
    for name, make in (("train", parts.training_loader), ("valid", parts.evaluation_loader)):
        transform = parts.pipeline(settings.transform[name], data.info, name)
        seed = (0,) if name == "train" else ()
        with pytest.raises(UserError, match="set transform=pose"):
            make(data, transform, Pose(data.info), settings.data, *seed, CPU)  # type: ignore[operator]


def test_focus_keeps_one_row_of_everything() -> None:
    truth = People([4])[0].truth
    one = crops.focus(truth, 2)
    assert one.size == truth.size
    for name in ("keypoints", "boxes", "categories", "crowd", "areas"):
        assert torch.equal(getattr(one, name), getattr(truth, name)[2:3])


def test_the_limit_of_unreadable_samples_counts_images() -> None:
    class Groups(People):
        def labelled(self, index: int) -> list[int]:
            return list(range(self.counts[index]))

    data = Groups([50] * 10)
    samples = TrainingSamples(Instances(data), lambda sample, *_: sample, Pose(info=INFO), 0, skip_bad=True)
    loader = TrainingLoader(samples, Order(len(samples), 10, 0, False), workers=0, timeout=0, pin=False)
    assert (len(samples), loader.most_bad) == (500, 1)
