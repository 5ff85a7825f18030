"""Drawn shapes against slow geometry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from densepred.dataset.scene import Canvas, Form, disc, polygon, ring, smooth_noise, strokes

STAR = np.array(
    [[25, 2], [28, 14], [42, 15], [30, 21], [33, 34], [24, 25], [9, 33], [17, 20], [3, 12], [19, 13]], float
)


def nearest(x: float, y: float, starts: np.ndarray, ends: np.ndarray) -> list[float]:
    """Return the distance to each segment, by trying many of its points."""
    steps = np.linspace(0, 1, 2001)[:, None]
    return [float(np.hypot(*(a + steps * (b - a) - (x, y)).T).min()) for a, b in zip(starts, ends, strict=True)]


def winding(x: float, y: float, points: np.ndarray) -> bool:
    angles = np.arctan2(points[:, 1] - y, points[:, 0] - x)
    turns = np.diff(np.append(angles, angles[0]))
    return abs(((turns + math.pi) % (2 * math.pi) - math.pi).sum()) > 3


def slow_star(x: float, y: float) -> float:
    distance = min(nearest(x, y, STAR, np.roll(STAR, -1, 0)))
    return -distance if winding(x, y, STAR) else distance


LINES = (np.array([[5.0, 6.0], [30.0, 8.0]]), np.array([[20.0, 30.0], [30.0, 8.0]]), np.array([2.0, 5.0]))


@pytest.mark.parametrize(
    ("form", "slow"),
    [
        (disc(20.3, 17.8, 9.5), lambda x, y: math.dist((x, y), (20.3, 17.8)) - 9.5),
        (ring(20.3, 17.8, 9.5, 4), lambda x, y: abs(math.dist((x, y), (20.3, 17.8)) - 9.5) - 2),
        (polygon(STAR), slow_star),
        (strokes(*LINES), lambda x, y: min(d - r for d, r in zip(nearest(x, y, *LINES[:2]), LINES[2], strict=True))),
    ],
)
def test_distances_are_those_of_plane_geometry(form: Form, slow) -> None:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(0)
    for x, y in random.uniform(0, 40, (60, 2)):
        found = float(form.distance(np.array([[x]]), np.array([[y]]))[0, 0])
        assert found == pytest.approx(slow(x, y), abs=0.01)
        if math.dist((x, y), form.center) > form.reach * math.sqrt(2):
            assert found > 0


def test_labels_are_exact_and_edges_are_blended() -> None:
    canvas = Canvas(np.zeros((3, 37, 45), np.float32))
    form = disc(20.3, 17.8, 9.5)
    canvas.paint(form, 3, 7, np.ones(3, np.float32), np.zeros(3, np.float32))
    y, x = np.mgrid[:37, :45]
    inside = np.hypot(x - 20.3, y - 17.8) < 9.5
    assert (canvas.semantic == 3 * inside).all()
    assert (canvas.instances == 7 * inside).all()
    assert abs(canvas.image[0].sum() - math.pi * 9.5**2) < 3


@pytest.mark.parametrize("center", [(-50.0, 5.0), (500.0, 5.0), (5.0, -50.0), (0.0, 0.0), (44.0, 36.0)])
def test_shapes_may_lie_partly_or_wholly_outside(center: tuple[float, float]) -> None:
    canvas = Canvas(np.zeros((3, 37, 45), np.float32))
    canvas.paint(disc(*center, 9), 1, 1, np.ones(3, np.float32), np.zeros(3, np.float32))
    y, x = np.mgrid[:37, :45]
    assert (canvas.semantic == (np.hypot(x - center[0], y - center[1]) < 9)).all()


def test_noise_is_smooth_and_of_the_size_asked_for() -> None:
    noise = smooth_noise(np.random.default_rng(0), (37, 45), 4)
    assert noise.shape == (3, 37, 45)
    assert np.abs(np.diff(noise, axis=2)).max() < 0.7 * noise.std() + 0.3
