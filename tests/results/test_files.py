"""Files of predictions, read by the official evaluation tools."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from densepred import atomic
from densepred.dataset import class_file
from densepred.dataset.shapes import Shapes
from densepred.draw.comparison import hidden
from densepred.errors import Notice, UserError
from densepred.ops.regions.run_lengths import run_lengths
from densepred.results import coco, ids
from densepred.results import files as results
from densepred.results.files import OverlaySettings, Results
from densepred.types import VOID, Annotation, Info

INFO = Info(classes=("sky", "car", "dog"), things=(1, 2), palette=((0, 0, 200), (200, 0, 0), (0, 180, 0)))
NAMES = {"1": (37, 45), "2": (48, 64), "sub/30": (20, 33)}


def written(folder: Path, fields: tuple[str, ...], **options: float) -> tuple[Results, dict[str, Annotation], Info]:
    """Write the ground truth of drawn scenes as predictions."""
    truths, info, writer = {}, INFO, None
    for index, (name, size) in enumerate(NAMES.items()):
        data = Shapes("valid", size=size, counts={"valid": 5}, objects=(2, 5))
        sample, info = data[index], data.info
        writer = writer or Results(folder, info, OverlaySettings(**options))
        truth = truths[name] = sample.truth
        kept = {field: getattr(truth, field) for field in fields}
        found = Annotation(truth.size, scores=torch.ones(len(truth.categories)), categories=truth.categories, **kept)
        writer.add(Path(name), int(Path(name).name), f"{name}.jpg", sample.image, found)
    assert writer is not None
    writer.join([Path(name) for name in NAMES])
    return writer, truths, info


def truth_file(folder: Path, truths: dict[str, Annotation], categories: list[dict]) -> COCO:
    """Write the scenes as a COCO file, by independent code."""
    images, annotations = [], []
    for name, truth in truths.items():
        number = int(Path(name).name)
        images.append({"id": number, "file_name": f"{name}.jpg", "height": truth.size[0], "width": truth.size[1]})
        for i, category in enumerate(truth.categories.tolist()):
            mask = np.asfortranarray((truth.instances == i + 1).numpy().astype(np.uint8))
            code = rle.encode(mask)
            points = truth.keypoints[i].clone()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "iscrowd": 0,
                    "area": float(mask.sum()),
                    "bbox": [float(v) for v in rle.toBbox(code)],
                    "segmentation": {"size": list(truth.size), "counts": code["counts"].decode()},
                    "keypoints": points.flatten().tolist(),
                    "num_keypoints": int((points[:, 2] > 0).sum()),
                }
            )
    path = folder / "truth.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories, "info": {}}))
    return COCO(str(path))


def scored(truth: COCO, found: Path, kind: str, sigmas: tuple[float, ...] = ()) -> float:
    decode_and_score = COCOeval(truth, truth.loadRes(str(found)), kind)
    if sigmas:
        decode_and_score.params.kpt_oks_sigmas = np.array(sigmas)
    decode_and_score.evaluate()
    decode_and_score.accumulate()
    decode_and_score.summarize()
    return float(decode_and_score.stats[0])


def test_masks_in_results_are_those_of_the_map_and_score_one(tmp_path: Path) -> None:
    writer, truths, _ = written(tmp_path, ("instances", "boxes"))
    assert scored(truth_file(tmp_path, truths, writer.categories.listed()), tmp_path / "instances.json", "segm") == 1
    with Image.open(tmp_path / "instances" / "sub" / "30.png") as image:
        assert image.mode == "I;16"
        assert np.array_equal(np.asarray(image), truths["sub/30"].instances.numpy())
    images = json.loads((tmp_path / "images.json").read_text())
    assert [(entry["id"], entry["file_name"]) for entry in images["images"]] == [
        (1, "1.jpg"),
        (2, "2.jpg"),
        (30, "sub/30.jpg"),
    ]
    assert images["images"][0] == {"id": 1, "file_name": "1.jpg", "width": 45, "height": 37}
    assert not (tmp_path / ".records").exists()
    assert not (tmp_path / "detections.json").exists()


def test_no_file_holds_anything_of_an_image_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "LARGEST_ID", 2)
    writer = Results(tmp_path, INFO, OverlaySettings())
    pixels, labels = torch.zeros(3, 1, 3, dtype=torch.uint8), torch.ones(1, 3, dtype=torch.uint8)
    for name, number, row in (("good", 1, [1, 1, 2]), ("bad", 2, [1, 2, 3])):
        kinds = torch.ones(max(row), dtype=torch.int64)
        instances = torch.tensor([row], dtype=torch.int32)
        found = Annotation((1, 3), semantic=labels, instances=instances, categories=kinds)
        if name == "good":
            writer.add(Path("a/good"), number, "a/good.jpg", pixels, found)
            continue
        with pytest.raises(UserError, match="bad: 3 instances do not fit a PNG of 16 bits"):
            writer.add(Path("a/bad"), number, "a/bad.jpg", pixels, found)
    writer.join([Path("a/good"), Path("a/bad")])
    assert {path.stem for path in tmp_path.rglob("*.png")} == {"good"}
    for name in ("images", "panoptic", "instances"):
        assert "bad" not in (tmp_path / f"{name}.json").read_text()
    entries = json.loads((tmp_path / "instances.json").read_text())
    assert [entry["image_id"] for entry in entries] == [1, 1]


def test_overlays_that_show_nothing_name_the_highest_score(tmp_path: Path) -> None:
    info = Info(classes=("person",), palette=((9, 9, 9),), keypoints=("a", "b"), limbs=((0, 1),))
    pixels = torch.zeros(3, 20, 20, dtype=torch.uint8)
    for name, scores, joints in (("sure", [0.9, 0.1], 0.8), ("unsure", [0.1, 0.25], 0.9), ("faint", [0.9, 0.9], 0.2)):
        points = torch.tensor([[[3.0, 3.0, joints], [9.0, 9.0, joints / 2]]] * 2)
        found = Annotation((20, 20), scores=torch.tensor(scores), keypoints=points)
        writer = Results(tmp_path, info, OverlaySettings(threshold=0.3))
        writer.add(Path(name), 1, f"{name}.jpg", pixels, found)
        if name == "sure":
            assert writer.hidden == []
            continue
        with pytest.warns(
            Notice, match=f"1 overlay shows .*the highest is {min(max(scores), joints):.3f}; type threshold=0.[12]$"
        ):
            writer.tell_of_hidden()
    assert hidden(Annotation((9, 9), scores=torch.zeros(0), boxes=torch.zeros(0, 4)), 0.3) is None
    assert hidden(Annotation((9, 9), scores=torch.tensor([0.2])), 0.0) is None


def test_results_without_boxes_take_the_area_of_masks_and_keypoints(tmp_path: Path) -> None:
    """A box three times as large would move results to another range of areas in `loadRes`."""
    found = Annotation(
        (100, 100),
        categories=torch.tensor([0, 0]),
        scores=torch.tensor([0.1234567, 0.5]),
        boxes=torch.tensor([[-0.5, -0.5, 98.5, 98.5]] * 2),
        keypoints=torch.tensor([[[10.0, 10.0, 0.9], [40.0, 50.0, 0.8]], [[0.0, 0.0, 0.0]] * 2]),
    )
    info = Info(classes=("person",), palette=((9, 9, 9),), keypoints=("a", "b"), limbs=((0, 1),))
    writer = Results(tmp_path, info, OverlaySettings())
    writer.add(Path("1"), 1, "1.jpg", torch.zeros(3, 100, 100, dtype=torch.uint8), found)
    writer.join([Path("1")])
    (entry,) = json.loads((tmp_path / "keypoints.json").read_text())  # the person without a joint is left out
    assert set(entry) == {"image_id", "category_id", "score", "keypoints"}
    assert np.float32(entry["score"]) == np.float32(0.1234567)
    api = COCO()
    api.dataset = {"info": {}, "images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    api.createIndex()
    assert api.loadRes(str(tmp_path / "keypoints.json")).anns[1]["area"] == 30 * 40


def test_boxes_in_results_score_one(tmp_path: Path) -> None:
    writer, truths, _ = written(tmp_path, ("boxes",))
    assert scored(truth_file(tmp_path, truths, writer.categories.listed()), tmp_path / "detections.json", "bbox") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"truth.json", "detections.json", "images.json", "overlays"}


def test_keypoints_in_results_score_one(tmp_path: Path) -> None:
    writer, truths, info = written(tmp_path, ("boxes", "keypoints"))
    figure = info.classes.index("figure")
    for truth in truths.values():  # shapes without joints are no people
        assert (truth.keypoints[truth.categories != figure] == 0).all()
    decode_and_score = truth_file(tmp_path, truths, writer.categories.listed())
    assert scored(decode_and_score, tmp_path / "keypoints.json", "keypoints", info.sigmas) == pytest.approx(1)


def test_panoptic_pictures_hold_the_ids_areas_and_boxes_of_their_segments(tmp_path: Path) -> None:
    writer, truths, info = written(tmp_path, ("instances", "semantic"))
    data = json.loads((tmp_path / "panoptic.json").read_text())
    assert set(data) == {"images", "annotations", "categories"}
    assert [entry["id"] for entry in data["categories"]] == list(range(8))
    assert [entry["isthing"] for entry in data["categories"]] == [0] + [1] * 7
    for entry, (name, truth) in zip(data["annotations"], truths.items(), strict=True):
        assert entry["file_name"] == f"{name}.png"
        with Image.open(tmp_path / "panoptic" / entry["file_name"]) as image:
            r, g, b = np.asarray(image).astype(int).transpose(2, 0, 1)
        ids = r + 256 * g + 65536 * b
        listed = {segment["id"]: segment for segment in entry["segments_info"]}
        assert set(np.unique(ids)) - {0} == set(listed)
        for number, segment in listed.items():
            mask = ids == number
            y, x = np.nonzero(mask)
            assert segment["area"] == mask.sum()
            assert segment["bbox"] == [x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]
            assert (truth.semantic.numpy()[mask] == segment["category_id"]).all()
            assert len(np.unique(truth.instances.numpy()[mask])) == 1
            assert segment["isthing"] == (segment["category_id"] > 0)
    assert list(writer.kinds.values())[-3:] == ["images.json", "panoptic.json", "instances.json"]
    assert info.classes[0] == "background"


def test_things_outside_instances_and_void_are_no_segments() -> None:
    labels = torch.tensor([[0, 1, 1, VOID]], dtype=torch.uint8)
    ids = torch.tensor([[0, 0, 1, 0]], dtype=torch.int32)
    found = Annotation((1, 4), semantic=labels, instances=ids, categories=torch.tensor([1]))
    picture, entries = coco.segments(found, INFO, coco.Categories.counted(INFO))
    assert [(e["category_id"], e["area"], e["bbox"]) for e in entries] == [(2, 1, [2, 0, 1, 1]), (1, 1, [0, 0, 1, 1])]
    assert picture.tolist() == [[[0, 0, 200], [0, 0, 0], [200, 0, 0], [0, 0, 0]]]


def test_equal_colours_get_ids_of_their_own() -> None:
    ids = torch.arange(1, 2001, dtype=torch.int32).reshape(40, 50)
    labels = torch.ones(40, 50, dtype=torch.uint8)
    found = Annotation((40, 50), semantic=labels, instances=ids, categories=torch.ones(2000, dtype=torch.int64))
    picture, entries = coco.segments(found, INFO, coco.Categories.counted(INFO))
    assert len({e["id"] for e in entries}) == len(entries) == 2000
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2000


def test_run_lengths_are_those_of_pycocotools() -> None:
    random = np.random.default_rng(0)
    for size, count in (((37, 45), 6), ((1, 1), 1), ((5, 3), 0), ((8, 8), 70)):
        ids = random.integers(0, count + 1, size)
        for i, turns in enumerate(run_lengths(ids, count)):
            code = rle.frPyObjects({"counts": turns, "size": list(size)}, *size)
            assert code["counts"] == rle.encode(np.asfortranarray((ids == i + 1).astype(np.uint8)))["counts"]


def test_nothing_found_makes_empty_lists_that_still_name_the_image(tmp_path: Path) -> None:
    writer = Results(tmp_path, INFO, OverlaySettings())
    none = torch.zeros(0)
    found = Annotation((4, 5), instances=torch.zeros(4, 5, dtype=torch.int32), categories=none.long(), scores=none)
    writer.add(Path("a"), 1, "a.png", torch.zeros(3, 4, 5, dtype=torch.uint8), found)
    writer.join([Path("a"), Path("failed")])
    assert json.loads((tmp_path / "instances.json").read_text()) == []
    assert len(json.loads((tmp_path / "images.json").read_text())["images"]) == 1


@pytest.mark.slow
def test_more_instances_than_a_png_counts_are_refused(tmp_path: Path) -> None:
    ids = torch.arange(70000, dtype=torch.int32).reshape(200, 350)
    found = Annotation((200, 350), instances=ids)
    results = Results(tmp_path, INFO, OverlaySettings(overlay=False))
    with pytest.raises(UserError, match="69999 instances do not fit a PNG of 16 bits"):
        results.add(Path("a"), 1, "a.png", torch.zeros(3, 200, 350), found)


def test_ids_of_images_are_their_numbers_or_their_places_or_those_of_a_coco_file(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    files = [folder / name for name in ("000000000139.jpg", "000000000285.jpg")]
    assert ids.image_ids(files, folder) == [139, 285]
    assert ids.image_ids([*files, folder / "b.jpg"], folder) == [1, 2, 3]
    assert ids.image_ids([folder / "1.jpg", folder / "01.jpg"], folder) == [1, 2]
    path = tmp_path / "truth.json"
    listed = [{"id": 7, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 9, "name": "sky"}]
    images = [{"file_name": file.name, "id": i + 5} for i, file in enumerate(files)]
    path.write_text(json.dumps({"images": images, "categories": listed}))
    known = ids.known_ids(path)
    assert ids.image_ids(files, folder, known) == [5, 6]
    with pytest.raises(UserError, match=r"1 of 1 images are not in it, such as x.jpg"):
        ids.image_ids([folder / "x.jpg"], folder, known)
    assert coco.Categories.named(INFO, known.categories, "f").ids == (9, 3, 7)
    objects = Info(classes=("background", "cat", "dog"))
    for numbers, wanted in (((1, 2), (0, 1, 2)), ((0, 1), (2, 0, 1))):  # no two classes share an id
        rows = [{"id": id, "name": name} for id, name in zip(numbers, ("cat", "dog"), strict=True)]
        assert coco.Categories.named(objects, rows, "f").ids == wanted
    with pytest.raises(UserError, match="no category is called dog"):
        coco.Categories.named(INFO, listed[1:], "f")
    path.write_text("[]")
    with pytest.raises(UserError, match="cannot be read as a COCO file"):
        ids.known_ids(path)


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    unfinished = atomic.temporary_name(Path("labels/a.png")).as_posix()
    for name in (".records/a.json", unfinished, "labels/a.png", "labels/.hidden", "notes.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    results.clean(tmp_path)
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {"labels/a.png", "labels/.hidden", "notes.tmp"}


def test_names_of_the_ids_stand_beside_the_class_maps(tmp_path: Path) -> None:
    """In the form of classes.json, so that predictions can be a dataset."""
    labels = torch.tensor([[0, 1, 2]], dtype=torch.uint8)
    results = Results(tmp_path, INFO, OverlaySettings())
    results.add(Path("a"), 1, "a.png", torch.zeros(3, 1, 3, dtype=torch.uint8), Annotation((1, 3), semantic=labels))
    entries, ignored = class_file.read(tmp_path / "classes.json")
    assert [(entry.id, entry.name, entry.colour) for entry in entries] == [
        (index, name, colour) for index, (name, colour) in enumerate(zip(INFO.classes, INFO.palette, strict=True))
    ]
    assert ignored is None
