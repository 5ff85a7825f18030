"""Charts as inline SVG: each scales with the page, has a title for screen readers, and needs no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6000", "#000000")
"""Colours of Okabe and Ito (2008), told apart by colour-blind readers; yellow is darkened for white paper."""
DASHES = ("", "6 3", "2 3", "8 3 2 3")
WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 44


def lines(series: Mapping[str, Sequence[tuple[float, float]]], title: str, x: str, y: str) -> str:
    """Draw curves of (x, y), with a legend below."""
    points = [point for one in series.values() for point in one]
    if not points:
        return f"<p>{escape(title)}: no values.</p>"
    frame = _Frame([a for a, _ in points], [b for _, b in points])
    body = [frame.axes(x, y)]
    for number, one in enumerate(series.values()):
        path = " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in one)
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        colour = COLOURS[number % len(COLOURS)]
        body.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'
        )
        body += [f'<circle cx="{frame.x(a):.1f}" cy="{frame.y(b):.1f}" r="2.5" fill="{colour}"/>' for a, b in one]
    return _figure(title, "".join(body), HEIGHT, legend(list(series)))


def bars(groups: Mapping[str, Mapping[str, float | None]], title: str) -> str:
    """Draw horizontal bars from 0 to 1: per class one bar per run."""
    classes = list(dict.fromkeys(name for one in groups.values() for name in one))
    thick, gap = 12, 10
    height = TOP + len(classes) * (thick * len(groups) + gap) + 30
    left = 150
    most = max([1.0, *(v for one in groups.values() for v in one.values() if v is not None)])
    body, top = [], TOP
    for name in classes:
        middle = top + thick * len(groups) / 2 + 4
        body.append(f'<text x="{left - 8}" y="{middle:.1f}" text-anchor="end">{escape(name[:22])}</text>')
        for number, one in enumerate(groups.values()):
            value = one.get(name)
            y = top + number * thick
            if value is None:
                body.append(f'<text x="{left + 4}" y="{y + 10}" class="small">undefined</text>')
                continue
            long = max(0.0, value) / most * (WIDTH - left - 70)
            fill = COLOURS[number % len(COLOURS)]
            body.append(f'<rect x="{left}" y="{y}" width="{long:.1f}" height="{thick - 2}" fill="{fill}"/>')
            body.append(f'<text x="{left + long + 4:.1f}" y="{y + 10}" class="small">{value:.3f}</text>')
        top += thick * len(groups) + gap
    return _figure(title, "".join(body), height, legend(list(groups)))


def scatter(points: Mapping[str, tuple[float, float]], front: set[str], title: str, x: str, y: str) -> str:
    """Draw named points; those of the Pareto front are filled and joined."""
    if not points:
        return f"<p>{escape(title)}: no values.</p>"
    frame = _Frame([a for a, _ in points.values()], [b for _, b in points.values()])
    body = [frame.axes(x, y)]
    joined = sorted(points[name] for name in front)
    path = " ".join(f"{frame.x(a):.1f},{frame.y(b):.1f}" for a, b in joined)
    body.append(f'<polyline points="{path}" fill="none" stroke="#888" stroke-dasharray="4 3"/>')
    for number, (name, (a, b)) in enumerate(points.items()):
        colour = COLOURS[number % len(COLOURS)]
        fill = colour if name in front else "white"
        body.append(
            f'<circle cx="{frame.x(a):.1f}" cy="{frame.y(b):.1f}" r="6" fill="{fill}" stroke="{colour}">'
            f"<title>{escape(name)}: {a:.4g}, {b:.4g}</title></circle>"
        )
    return _figure(title, "".join(body), HEIGHT, legend(list(points)))


def matrix(counts: np.ndarray, classes: Sequence[str], title: str) -> str:
    """Draw a confusion matrix (K, K + 1) as fractions of each true class; rows are truth, the last column is void."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    shown = share if counts[:, -1].any() else share[:, :-1]
    names = [*classes, "void"][: shown.shape[1]]
    cell = max(14, min(44, 560 // max(1, len(names))))
    left, top = 130, 110
    body = []
    for row, name in enumerate(classes):
        y = top + row * cell
        body.append(f'<text x="{left - 6}" y="{y + cell / 2 + 4:.1f}" text-anchor="end">{escape(name[:18])}</text>')
        for column, other in enumerate(names):
            value, x = float(shown[row, column]), left + column * cell
            blue = round(255 * (1 - value))
            body.append(
                f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="rgb({blue},{round(255 - 141 * value)},'
                f'{round(255 - 77 * value)})" stroke="#ddd"><title>{escape(name)} as {escape(other)}: {value:.1%}'
                f" ({int(counts[row, column])} pixels)</title></rect>"
            )
            if cell >= 28 and value >= 0.005:
                ink = "white" if value > 0.6 else "black"
                body.append(
                    f'<text x="{x + cell / 2}" y="{y + cell / 2 + 4}" text-anchor="middle" class="small" fill="{ink}">'
                    f"{value * 100:.0f}</text>"
                )
    for column, other in enumerate(names):
        x = left + column * cell + cell / 2
        body.append(f'<text transform="translate({x:.1f},{top - 6}) rotate(-50)">{escape(other[:16])}</text>')
    height = top + len(classes) * cell + 16
    return _figure(title, "".join(body), height, "", max(WIDTH, left + cell * len(names) + 60))


def legend(names: Sequence[str]) -> str:
    """Return the legend of series in their order, as a list that wraps."""
    keys = [
        f'<li><span class="key" style="background:{COLOURS[number % len(COLOURS)]}"></span>{escape(name)}</li>'
        for number, name in enumerate(names)
    ]
    return f'<ul class="legend">{"".join(keys)}</ul>'


class _Frame:
    """The axes of a chart: values to places."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float]) -> None:
        self.columns, self.rows = _span(xs), _span(ys)

    def x(self, value: float) -> float:
        low, high = self.columns
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        low, high = self.rows
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def axes(self, x: str, y: str) -> str:
        """Draw grid lines with their values, and the names of the axes."""
        parts = []
        for value in ticks(*self.rows):
            at = self.y(value)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:.4g}</text>')
        for value in ticks(*self.columns):
            at, low = self.x(value), HEIGHT - BOTTOM
            parts.append(f'<line y1="{TOP}" y2="{low}" x1="{at:.1f}" x2="{at:.1f}" stroke="#eee"/>')
            parts.append(f'<text x="{at:.1f}" y="{low + 16}" text-anchor="middle">{value:.6g}</text>')
        parts.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x)}</text>')
        parts.append(
            f'<text transform="translate(14,{HEIGHT / 2}) rotate(-90)" text-anchor="middle">{escape(y)}</text>'
        )
        return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Return three to eight round numbers from `low` to `high`."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    return [round(number * step, 10) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Return the least and the largest finite value, apart even if all are equal."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    margin = (high - low) * 0.05 or max(abs(high) * 0.05, 1e-3)
    return low - margin, high + margin


def _figure(title: str, body: str, height: float, below: str, width: int = WIDTH) -> str:
    text = escape(title)
    return (
        f'<figure><svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{text}"><title>{text}</title>'
        f"{body}</svg>{below}<figcaption>{text}</figcaption></figure>"
    )
