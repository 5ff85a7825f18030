"""Top-down pose as users run it: train, resume, evaluate, predict in boxes of every origin. In this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from densepred import predict, predictor
from densepred.cli import compose
from densepred.dataset.shapes import Shapes
from densepred.engine.evaluate import evaluate
from densepred.errors import Notice, UserError
from densepred.jobs import evaluation, parts, training
from densepred.settings import DataSettings
from densepred.types import Annotation
from tests import running
from tests.conftest import composed

CPU = torch.device("cpu")
SMALL = ("dataset.size=[48,64]", "dataset.counts={train: 12, valid: 6, test: 1}", "data.batch_size=4")
MODEL = ("encoder=plain", "encoder.widths=[4,8,8,8]", "trainer.pictures=2", "trainer.epochs=null")
POSE = ("task=pose", "model=encoder_decoder", "decoder=unet", "data.crop=[32,24]", *MODEL, *SMALL)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of pose, one of a detector, and images: two scenes, and an empty one."""
    folder = tmp_path_factory.mktemp("runs")
    assert training.work(running.bare_job(folder / "pose", *POSE, "trainer.max_steps=4")) == 0
    detector = ("task=detection_center", "model=center_detection", "decoder=unet", "metric=box_ap", *MODEL, *SMALL)
    assert training.work(running.bare_job(folder / "detector", *detector, "trainer.max_steps=2")) == 0
    (folder / "images").mkdir()
    for index in range(2):
        picture = scenes()[index].image.permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(picture).save(folder / f"images/{index + 1}.png")
    Image.new("RGB", (64, 48), (40, 40, 40)).save(folder / "images/3.png")
    return folder


def scenes() -> Shapes:
    return Shapes("valid", size=(48, 64), counts={"valid": 6})


def evaluated(folder: Path, name: str, *words: str) -> dict[str, float | None]:
    cfg = composed(f"ckpt={folder / name}", *(w for w in SMALL if "batch" not in w), *words, name="eval")
    settings = compose.settings(cfg)
    assert evaluation.work(evaluation.EvaluationJob(settings, folder / "evaluation")) == 0
    return json.loads((folder / "evaluation/metrics.json").read_text())["metrics"]


def predicted(folder: Path, *words: str) -> tuple[list[dict], Path]:
    output = folder / "out"
    cfg = composed(f"ckpt={folder / 'pose'}", f"input={folder / 'images'}", f"output={output}", *words, name="predict")
    assert predict.predict(cfg) == 0
    return json.loads((output / "keypoints.json").read_text()), output


@pytest.mark.slow
def test_a_resumed_run_is_the_run(runs: Path, tmp_path: Path) -> None:
    words = (*POSE, "trainer.max_steps=4")
    stopped = (*POSE, "trainer.max_steps=4", "trainer.max_minutes=1e-9")
    assert training.work(running.bare_job(tmp_path, *stopped)) == 0
    assert len(running.metrics(tmp_path)) < len(running.metrics(runs / "pose"))
    again = (*words, f"trainer.resume={tmp_path}", "trainer.allow=[trainer.max_minutes]")
    assert training.work(running.bare_job(tmp_path, *again)) == 0
    first, second = running.weights(runs / "pose"), running.weights(tmp_path)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_evaluation_gives_the_numbers_of_validation(runs: Path) -> None:
    found = evaluated(runs, "pose")
    kept = [line for line in running.metrics(runs / "pose") if "valid/pck" in line]
    assert found["epe"] in [line["valid/epe"] for line in kept]
    mirrored = evaluated(runs, "pose", "flip=true")
    assert mirrored["loss/total"] != found["loss/total"]


def test_evaluation_and_prediction_see_the_same(runs: Path) -> None:
    """Evaluate with the ground-truth boxes and flip averaging."""
    model = predictor.load(runs / "pose")
    data = scenes()
    index = next(i for i in range(6) if data.labelled(i))
    sample, rows = data[index], data.labelled(index)
    assert sample.truth.boxes is not None
    found = model(sample.image, flip=True, boxes=Annotation(sample.truth.size, boxes=sample.truth.boxes))
    loader = parts.evaluation_loader(data, model.transform, model.task.codec, DataSettings(workers=0), CPU)
    seen = []
    evaluate(model.model, model.task, loader, CPU, model.precision, lambda b, f, o: seen.extend(f), flip=True)
    assert found.keypoints is not None
    torch.testing.assert_close(seen[index].keypoints[rows], found.keypoints[rows], atol=1e-3, rtol=1e-4)


def test_without_boxes_an_image_is_one_and_a_notice_tells(runs: Path) -> None:
    with pytest.warns(Notice, match="boxes: none are given, so each whole image is the box of one instance"):
        found, output = predicted(runs)
    assert [entry["image_id"] for entry in found] == [1, 2, 3]
    assert all(len(entry["keypoints"]) == 33 for entry in found)
    assert len(list((output / "overlays").glob("*.png"))) == 3


def test_boxes_come_from_a_file(runs: Path) -> None:
    boxes = [{"image_id": 1, "category_id": 7, "bbox": [x, 5, 20, 30], "score": s} for x, s in ((4, 0.9), (30, 0.5))]
    boxes.append({"image_id": 2, "category_id": 7, "bbox": [1, 1, 20, 20], "score": 0.1})
    file = runs / "boxes.json"
    categories = [{"id": 7, "name": "figure"}]
    images = [{"id": i, "file_name": f"{i}.png"} for i in (1, 2, 3)]
    file.write_text(json.dumps({"images": images, "categories": categories, "annotations": boxes}))
    found, _ = predicted(runs, f"boxes={file}", "box_threshold=0.2")
    assert [entry["image_id"] for entry in found] in ([1], [1, 1])
    assert not any("bbox" in entry for entry in found)
    assert evaluated(runs, "pose", f"boxes={_for_scenes(runs)}")["epe"] is not None
    with pytest.raises(UserError, match="for none of the 6 images"):
        evaluated(runs, "pose", f"boxes={file}")


def _for_scenes(folder: Path) -> Path:
    """Write the ground-truth boxes of the drawn scenes as detections, by the scenes' names."""
    data, notes = scenes(), []
    for index in range(len(data)):
        boxes = data[index].truth.boxes
        assert boxes is not None
        for x0, y0, x1, y1 in boxes.tolist():
            box = [x0 + 0.5, y0 + 0.5, x1 - x0, y1 - y0]
            notes.append({"image_id": index, "category_id": 1, "bbox": box, "score": 0.8})
    images = [{"id": i, "file_name": f"{data[i].frame.id}.png"} for i in range(len(data))]
    whole = {"images": images, "categories": [{"id": 1, "name": "figure"}], "annotations": notes}
    path = folder / "scenes.json"
    path.write_text(json.dumps(whole))
    return path


def test_boxes_come_from_a_detector(runs: Path) -> None:
    found, _ = predicted(runs, f"boxes={runs / 'detector'}", "box_threshold=0")
    assert all({"keypoints", "score"} <= entry.keys() for entry in found)


def test_boxes_are_refused_for_models_of_whole_images(runs: Path) -> None:
    for words in ([f"boxes={runs / 'detector'}"], [f"boxes={runs / 'boxes.json'}"]):
        with pytest.raises(UserError, match=r"takes whole images; drop boxes="):
            evaluated(runs, "detector", *words)
    with pytest.raises(UserError, match="scales: instances are predicted one by one"):
        predictor.load(runs / "pose")(scenes()[0].image, scales=(1.0, 2.0))


def test_a_box_without_area_and_no_box_at_all_are_predictions_too(runs: Path) -> None:
    model = predictor.load(runs / "pose")
    boxes = torch.tensor([[3.0, 3, 3, 9], [3.0, 3, 23, 33]])
    found = model(scenes()[0].image, boxes=Annotation((48, 64), boxes=boxes))
    assert found.scores is not None
    assert found.keypoints is not None
    assert found.keypoints[0].abs().sum() == 0
    empty = model(scenes()[0].image, boxes=Annotation((48, 64), boxes=torch.zeros(0, 4), scores=torch.zeros(0)))
    assert empty.keypoints is not None
    assert empty.keypoints.shape == (0, 11, 3)


@pytest.mark.slow
def test_a_network_overfits_a_few_people(tmp_path: Path) -> None:
    """Joints of drawn figures within a pixel, in a few seconds."""
    words = ("encoder=plain", "encoder.widths=[8,16,32,32]", "data.crop=[64,48]", "data.batch_size=4")
    scenes = ("dataset.size=[96,128]", "dataset.counts={train: 8, valid: 1, test: 1}", "optimizer.lr=0.01")
    length = ("trainer.epochs=null", "trainer.max_steps=150", "trainer.valid_every=1000", "trainer.pictures=0")
    model = ("task=pose", "model=encoder_decoder", "decoder=unet", "transform.train=${transform.valid}")
    assert training.work(running.bare_job(tmp_path, *model, *words, *scenes, *length)) == 0
    trained, data, errors = predictor.load(tmp_path / "last.safetensors"), Shapes("train", counts={"train": 8}), []
    for index in range(8):
        rows, sample = data.labelled(index), data[index]
        assert sample.truth.keypoints is not None
        found = trained(sample.image, boxes=Annotation(sample.truth.size, boxes=sample.truth.boxes)).keypoints
        assert found is not None
        labelled = sample.truth.keypoints[rows][..., 2] > 0
        errors.append((found[rows] - sample.truth.keypoints[rows])[..., :2].norm(dim=-1)[labelled])
    off = torch.cat(errors)
    assert len(off) > 20
    assert off.mean() < 1.5
    assert off.median() < 1
