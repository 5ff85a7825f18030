"""Draw the pictures of README.md and of the pages: `python scripts/draw_pictures.py`.

With FOLDER, in which the commands of docs/tutorial.md ran, those of the tutorial: a prediction and the worst image. The
others show drawn scenes and their ground truth, as the commands draw predictions, and reconstructions by PCA.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image
from torch import Tensor

from densepred.codec.autoencoder import Autoencoder
from densepred.dataset.shapes import FIGURE, Shapes
from densepred.draw import comparison, maps, panel
from densepred.draw.boxes import from_image, to_image
from densepred.model.pca import PCA
from densepred.types import Annotation, Sample, unit_scale

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SIZE = (180, 240)
VISIBLE = 2  # as COCO marks keypoints
SCENES = 200
"""Scenes from which those of the pictures are chosen."""


def pictures() -> dict[str, Tensor]:
    """Return the picture of each page by its name, (3, H, W) uint8."""
    counts = {"train": SCENES, "valid": 1, "test": 1}
    data = Shapes("train", SIZE, counts=counts, objects=(6, 8), rare=0.15, texture=0.05, noise=0.0)
    scene = max((data[i] for i in range(SCENES)), key=_classes)
    people = max((data[i] for i in range(SCENES)), key=_whole_figures)
    objects = replace(scene.truth, keypoints=None)
    joints = people.truth.select(people.truth.need("categories") == FIGURE)
    shown: dict[str, tuple[Sample, Annotation]] = {
        "semantic": (scene, Annotation(scene.truth.size, semantic=scene.truth.semantic)),
        "instances": (scene, replace(objects, semantic=None, boxes=None)),
        "panoptic": (scene, objects),
        "detection": (scene, replace(objects, semantic=None, instances=None)),
        "pose": (people, replace(joints, semantic=None, instances=None)),
        "openpose": (people, Annotation(joints.size, keypoints=joints.keypoints)),
    }
    drawn = {name: _beside(data, *pair) for name, pair in shown.items()}
    return {**drawn, "autoencoder": _reconstruction(data, scene)}


def _classes(sample: Sample) -> int:
    """Count the classes that a scene shows."""
    return len(sample.truth.need("semantic").unique())


def _whole_figures(sample: Sample) -> int:
    """Count the figures of which every joint is visible."""
    return int((sample.truth.need("keypoints")[..., 2] == VISIBLE).all(1).sum())


def _beside(data: Shapes, sample: Sample, found: Annotation) -> Tensor:
    """Place an image beside its annotation, with a legend of classes."""
    picture = comparison.draw(sample.image, found, data.info)
    legend = comparison.class_legend(found, data.info)
    return panel.panel([("image", maps.rgb(sample.image)), ("ground truth", picture)], legend)


def _reconstruction(data: Shapes, sample: Sample) -> Tensor:
    """Place an image beside its reconstructions from 3 and 12 numbers per patch of 8 x 8 pixels."""
    heads = Autoencoder(info=data.info).heads
    make: Callable[..., PCA] = partial(PCA, heads, 3, data.info.mean, data.info.std)
    tiles = [("image", maps.rgb(sample.image))]
    for channels in (3, 12):
        model = make(latent_channels=channels)
        for index in range(40):
            model.accumulate(unit_scale(data[index].image)[None])
        model.solve()
        made = model(unit_scale(sample.image)[None])["image"][-1][0]
        tiles.append((f"PCA, {channels} of 192 numbers", maps.rgb(made)))
    return panel.panel(tiles)


def tutorial(ran: Path) -> dict[str, Tensor]:
    """Return a prediction and the panel of the worst image from the folder in which the tutorial's commands ran."""
    found = {
        "tutorial_prediction": ran / "predictions" / "overlays" / "000000.png",
        "tutorial_worst": next(ran.glob("evaluations/*/pictures/001_*.png")),
    }
    return {name: from_image(Image.open(path).convert("RGB")) for name, path in found.items()}


def save(picture: Tensor, path: Path) -> None:
    to_image(picture).save(path, quality=72, optimize=True)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    drawn = tutorial(Path(sys.argv[1])) if sys.argv[1:] else pictures()
    for name, picture in drawn.items():
        path = FOLDER / f"{name}.jpg"
        save(picture, path)
        print(f"{path.name}: {path.stat().st_size} bytes")
