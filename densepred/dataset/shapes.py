"""Drawn scenes: overlapping, touching, thin and rare shapes on a textured background, with exact annotations.

Scene i of a split is a pure function of the settings, the seed, the split and i. Nothing is downloaded.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from densepred.contracts import Dataset
from densepred.dataset import stick_figure
from densepred.dataset.scene import Array, Canvas, Form, disc, polygon, ring, smooth_noise, strokes
from densepred.ops.boxes import from_ids
from densepred.types import Annotation, Frame, Info, Sample, UserError

CLASSES = ("background", "disc", "square", "triangle", "ring", "line", "star", "figure")
STAR, FIGURE = CLASSES.index("star"), CLASSES.index("figure")
SPLITS = ("train", "valid", "test")
_PALETTE = (
    (40, 40, 40),
    (220, 50, 47),
    (38, 139, 210),
    (133, 190, 0),
    (240, 170, 0),
    (108, 113, 240),
    (255, 255, 120),
    (42, 200, 180),
)

_STATISTICS: dict[tuple[float, ...], tuple[tuple[float, ...], tuple[float, ...]]] = {}
"""Mean and std per channel, by all settings that change how scenes look."""


class Shapes(Dataset):
    """`counts` is the number of scenes per split, `objects` the least and most shapes per scene."""

    def __init__(
        self,
        split: str,
        size: Sequence[int] = (96, 128),
        counts: Mapping[str, int] | None = None,
        seed: int = 0,
        objects: Sequence[int] = (3, 8),
        rare: float = 0.06,
        touching: float = 0.3,
        thinness: float = 3.0,
        contrast: float = 0.9,
        hue_spread: float = 0.02,
        texture: float = 0.1,
        noise: float = 0.03,
    ) -> None:
        counts = {"train": 1000, "valid": 150, "test": 150} if counts is None else counts
        if split not in counts or split not in SPLITS:
            raise UserError(f"dataset.split: {split!r}; choose one of {', '.join(SPLITS)}")
        if len(size) != 2 or min(size) < 1:
            raise UserError(f"dataset.size: {list(size)}; give [height, width] in pixels")
        if len(objects) != 2 or not 0 <= objects[0] <= objects[1]:
            raise UserError(f"dataset.objects: {list(objects)}; give [least, most]")
        self.split, self.size, self.count, self.seed = split, (int(size[0]), int(size[1])), int(counts[split]), seed
        self.objects, self.rare, self.touching, self.thinness = objects, rare, touching, thinness
        self.contrast, self.hue_spread, self.texture, self.noise = contrast, hue_spread, texture, noise
        self.info = self._describe()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        return self._draw(self.split, index)

    def _describe(self) -> Info:
        """Describe the labels; mean and std are those of the first training scenes for every split."""
        info = Info(
            classes=CLASSES,
            things=tuple(range(1, len(CLASSES))),
            palette=_PALETTE,
            keypoints=stick_figure.KEYPOINTS,
            limbs=stick_figure.LIMBS,
            mirrored=stick_figure.MIRRORED,
            sigmas=stick_figure.SIGMAS,
            provides=("semantic", "instances", "categories", "keypoints", "boxes", "areas", "crowd"),
        )
        mean, std = self._statistics()
        return replace(info, mean=mean, std=std)

    def _statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and std per channel; drawing takes a while, and a command builds the dataset per split."""
        looks = (self.rare, self.touching, self.thinness, self.contrast, self.hue_spread, self.texture, self.noise)
        settings = (*self.size, self.seed, *self.objects, *looks)
        if settings not in _STATISTICS:
            pixels = torch.cat([self._draw("train", i).image.flatten(1) for i in range(8)], 1).double() / 255
            mean = tuple(round(v, 3) for v in pixels.mean(1).tolist())
            std = tuple(max(round(v, 3), 0.01) for v in pixels.std(1).tolist())
            _STATISTICS[settings] = mean, std
        return _STATISTICS[settings]

    def _draw(self, split: str, index: int) -> Sample:
        random = np.random.default_rng((self.seed, SPLITS.index(split), index))
        ground = (random.uniform(0.25, 0.7) + random.uniform(-0.1, 0.1, (3, 1, 1))).astype(np.float32)
        canvas = Canvas(ground + self.texture * smooth_noise(random, self.size, 8))
        categories, joints = self._populate(random, canvas, ground[:, 0, 0])
        canvas.image += self.noise * random.standard_normal(canvas.image.shape, dtype=np.float32)
        image = torch.from_numpy((canvas.image.clip(0, 1) * 255 + 0.5).astype(np.uint8))
        truth = _annotate(canvas, np.array(categories, np.int64), joints)
        return Sample(image, truth, Frame(f"{split}/{index:06d}", self.size))

    def _populate(self, random: np.random.Generator, canvas: Canvas, ground: Array) -> tuple[list[int], list[Array]]:
        """Paint shapes back to front; return the class and the joints of each."""
        categories: list[int] = []
        joints: list[Array] = []
        last: tuple[float, float, float] | None = None
        for number in range(random.integers(self.objects[0], self.objects[1] + 1)):
            category = self._category(random)
            radius = random.uniform(0.08, 0.19) * min(self.size)
            x, y = random.uniform(0, self.size[1] - 1), random.uniform(0, self.size[0] - 1)
            if last is not None and random.random() < self.touching:
                angle = random.uniform(0, 2 * np.pi)
                x, y = last[0] + np.cos(angle) * (last[2] + radius), last[1] + np.sin(angle) * (last[2] + radius)
            last = x, y, radius
            form, points = self._form(random, category, x, y, radius)
            canvas.paint(form, category, number + 1, self._colour(random, category, ground), self._stripes(random))
            categories.append(category)
            joints.append(points)
        return categories, joints

    def _category(self, random: np.random.Generator) -> int:
        if random.random() < self.rare:
            return STAR
        return int(random.choice([c for c in range(1, len(CLASSES)) if c != STAR]))

    def _colour(self, random: np.random.Generator, category: int, ground: Array) -> Array:
        """Draw a hue near that of the class, which does not identify the class alone."""
        hue = (category / (len(CLASSES) - 1) + self.hue_spread * random.standard_normal()) % 1
        colour = colorsys.hsv_to_rgb(hue, random.uniform(0.5, 1), random.uniform(0.5, 1))
        return (ground + self.contrast * (np.array(colour, np.float32) - ground)).astype(np.float32)

    def _stripes(self, random: np.random.Generator) -> Array:
        angle, wave = random.uniform(0, np.pi), 2 * np.pi / random.uniform(3, 12)
        return np.array([wave * np.cos(angle), wave * np.sin(angle), self.texture * random.random()], np.float32)

    def _form(
        self, random: np.random.Generator, category: int, x: float, y: float, radius: float
    ) -> tuple[Form, Array]:
        """Return the form of a shape and, for a figure, its joints (11, 2)."""
        none = np.zeros((0, 2), np.float32)
        width = self.thinness * random.uniform(0.8, 1.4)
        turn = random.uniform(0, 2 * np.pi)
        match CLASSES[category]:
            case "disc":
                return disc(x, y, radius), none
            case "ring":
                return ring(x, y, radius, max(0.45 * radius, width)), none
            case "line":
                along = np.array([[np.cos(turn), np.sin(turn)]], np.float32) * radius * 2
                center = np.array([[x, y]], np.float32)
                return strokes(center - along, center + along, np.array([width / 2], np.float32)), none
            case "figure":
                height = 4.5 * radius
                joints = stick_figure.pose(random, x, y, height)
                return stick_figure.form(joints, height, max(1.2 * width, 0.05 * height)), joints
            case "star":
                return polygon(_corners(x, y, np.tile([1.2 * radius, 0.55 * radius], 5), turn)), none
            case corners:
                count = {"square": 4, "triangle": 3}[corners]
                return polygon(_corners(x, y, np.full(count, 1.15 * radius), turn)), none


def _corners(x: float, y: float, radii: Array, turn: float) -> Array:
    angles = turn + np.arange(len(radii)) * (2 * np.pi / len(radii))
    return np.stack((x + radii * np.cos(angles), y + radii * np.sin(angles)), 1).astype(np.float32)


def _annotate(canvas: Canvas, categories: np.ndarray, joints: list[Array]) -> Annotation:
    """Number the shapes with visible pixels, and measure them."""
    count = len(categories)
    seen = np.bincount(canvas.instances.ravel(), minlength=count + 1)[1:] > 0
    numbers = np.zeros(count + 1, np.int32)
    numbers[1:][seen] = np.arange(1, seen.sum() + 1)
    instances = torch.from_numpy(numbers[canvas.instances])
    number = int(seen.sum())
    keypoints = np.zeros((number, len(stick_figure.KEYPOINTS), 3), np.float32)
    for row, index in enumerate(np.flatnonzero(seen)):
        if len(joints[index]):
            keypoints[row] = _visibility(joints[index], canvas.instances, int(index) + 1)
    return Annotation(
        (len(canvas.semantic), len(canvas.semantic[0])),
        semantic=torch.from_numpy(canvas.semantic),
        instances=instances,
        categories=torch.from_numpy(categories[seen]),
        keypoints=torch.from_numpy(keypoints),
        boxes=from_ids.boxes(instances, number),
        areas=from_ids.areas(instances, number),
        crowd=torch.zeros(number, dtype=torch.bool),
    )


def _visibility(joints: Array, instances: np.ndarray, instance: int) -> Array:
    """Append the visibility to joints: 2 if the figure itself is visible, 1 if it is covered, 0 outside the image."""
    x, y = np.floor(joints.T + 0.5).astype(int)
    height, width = instances.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    own = instances[y.clip(0, height - 1), x.clip(0, width - 1)] == instance
    return np.concatenate((joints, (inside * (1 + own))[:, None]), 1).astype(np.float32)
