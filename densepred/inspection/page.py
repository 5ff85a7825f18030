"""The report as one HTML file without links to other files: findings, thumbnails of samples, charts of the classes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from itertools import zip_longest
from typing import Any

from densepred.inspection import machine
from densepred.inspection.chart import KEYPOINTS, OBJECTS, PIXELS, VISIBLE, Chart
from densepred.inspection.finding import LEVELS, Finding
from densepred.inspection.report import Report
from densepred.output import many

PICTURES = 12
"""Thumbnails per finding."""
STYLE = """*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;max-width:72em;margin:1.5em auto;padding:0 1em;color:#222;background:#fff}
h1{font-size:1.35em;overflow-wrap:anywhere}h2{font-size:1.1em;margin:.3em 0}
section{border:1px solid #ddd;border-left:6px solid #999;border-radius:6px;padding:.4em 1em .6em;margin:1em 0}
section.error{border-left-color:#c22}section.warning{border-left-color:#d80}section.note{border-left-color:#48c}
.level{font-size:.75em;border-radius:3px;padding:.15em .5em;color:#fff;background:#48c;vertical-align:middle}
.error .level,b.error{background:#c22}.warning .level,b.warning{background:#b60}
p{margin:.3em 0;overflow-wrap:anywhere}
pre{background:#f3f3f3;border-radius:4px;padding:.5em .7em;margin:.4em 0;white-space:pre-wrap;overflow-wrap:anywhere}
.pictures{display:flex;flex-wrap:wrap;gap:.6em;margin:.6em 0}figure{margin:0;font-size:12px;width:128px}
figure img{display:block;max-width:128px;border-radius:3px}figcaption{overflow-wrap:anywhere;line-height:1.25}
details ul{columns:18em;font-size:13px;padding-left:1.2em}details li{overflow-wrap:anywhere}summary{cursor:pointer}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px}td,th{padding:.2em .8em .2em 0;text-align:left}
td{font-variant-numeric:tabular-nums;white-space:nowrap}th{font-weight:600}tr+tr{border-top:1px solid #eee}
.swatch{display:inline-block;width:.8em;height:.8em;margin-right:.5em;border:1px solid #888}
.bar{background:#48c;height:.8em;min-width:1px;border-radius:2px}.track{width:9em}
@media(prefers-color-scheme:dark){body{background:#181a1b;color:#ddd}section{border-color:#444}pre{background:#26292b}
tr+tr{border-color:#333}}"""


def page(report: Report, title: str) -> str:
    """Return the whole page. Names of files and classes are escaped."""
    pictures = {
        split: {one.id: one.thumbnail for one in found if one.thumbnail} for split, found in report.facts.items()
    }
    body = [f"<h1>{escape(title)}</h1>", _counts(report), _splits(report)]
    body += [_section(one, pictures) for one in report.findings]
    body += [_chart(chart, report) for chart in report.charts]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _counts(report: Report) -> str:
    levels = [one.level for one in report.findings]
    counts = {level: levels.count(level) for level in LEVELS if level in levels}
    words = [f'<b class="level {level}">{n} {level}{"s" * (n > 1)}</b>' for level, n in counts.items()]
    return f"<p>{' '.join(words)} worst first</p>" if words else "<p>nothing found</p>"


def _splits(report: Report) -> str:
    counted = any(row["objects"] is not None for row in report.splits.values())
    strided = any(row["stride"] for row in report.splits.values())
    rows = "".join(
        f"<tr><th>{split}<td>{row['images']}{_objects(row, counted)}<td>{_sizes(row['sizes'])}"
        f"<td>{escape(', '.join(row['depths']))}<td>{_list(row['channels'])}<td>{_list(row['mean'])}"
        f"<td>{_list(row['std'])}<td>{_size(row['crop'])}{_stride(row, strided)}</tr>"
        for split, row in report.splits.items()
    )
    objects = ("objects",) if counted else ()
    names = (
        "split",
        "images",
        *objects,
        "sizes",
        "depth",
        "channels",
        "mean",
        "std",
        "crop",
        *(("stride",) if strided else ()),
    )
    batch = f"<p>{escape(report.unnamed)}</p>" if report.unnamed else ""
    batch += f"<p>{escape(machine.line(report.batch))}</p>" if report.batch else ""
    return f'<div class="wide"><table><tr>{"".join(f"<th>{name}" for name in names)}</tr>{rows}</table></div>{batch}'


def _objects(row: dict[str, Any], counted: bool) -> str:
    """Return the cell of a column that datasets of class maps alone do without."""
    return f"<td>{row['objects'] or 0}" if counted else ""


def _stride(row: dict[str, Any], strided: bool) -> str:
    """Return the cell of a column that datasets without class maps do without."""
    return f"<td>{row['stride'] or ''}" if strided else ""


def _sizes(sizes: dict[str, int]) -> str:
    return "<br>".join(f"{escape(size)} ({count})" for size, count in sizes.items())


def _list(values: list[float]) -> str:
    return ", ".join(f"{value:.3g}" for value in values)


def _size(crop: list[int] | None) -> str:
    return "" if crop is None else f"{crop[0]}x{crop[1]}"


def _section(one: Finding, pictures: dict[str, dict[str, bytes]]) -> str:
    figures = "".join(
        f'<figure><img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="{escape(name)}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, jpeg in _shown(one, pictures)
    )
    texts = [name if pair is None else f"{name} = {pair[0]}: {pair[1]}" for name, pair in _with_partners(one)]
    names = "".join(f"<li>{escape(text)}" for text in texts)
    count = many(len(one.samples), "sample")
    files = f"<details><summary>{count}</summary><ul>{names}</ul></details>" if names else ""
    override = f"<pre>{escape(one.override)}</pre>" if one.override else ""
    return (
        f'<section class="{one.level}"><h2><span class="level">{one.level}</span> {escape(one.kind)}</h2>'
        f"<p>{escape(one.fact)}</p><p>Remedy: {escape(one.remedy)}</p>{override}"
        f'<div class="pictures">{figures}</div>{files}</section>'
    )


def _with_partners(one: Finding) -> list[tuple[str, tuple[str, str] | None]]:
    return list(zip_longest(one.samples, one.partners))


def _shown(one: Finding, pictures: dict[str, dict[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return the captions and thumbnails of samples, each beside the image of another split that it looks like."""
    order = sorted(pictures, key=lambda split: split not in one.splits)  # a name may stand in several splits
    shown = list[tuple[str, bytes]]()
    for name, partner in _with_partners(one):
        shown += [(name, pictures[split][name]) for split in order if name in pictures[split]][:1]
        if partner is not None and partner[1] in pictures.get(partner[0], {}):
            shown.append((f"{partner[0]}: {partner[1]}", pictures[partner[0]][partner[1]]))
    return shown[:PICTURES]


TITLES = {
    PIXELS: "Share of the pixels per class",
    OBJECTS: "Objects per class, and their share",
    KEYPOINTS: "Labelled keypoints: instances with each, and their share",
    VISIBLE: "Visible keypoints: instances with each, and their share",
}


def _chart(chart: Chart, report: Report) -> str:
    """Return a table of bars; the longest one fills its column."""
    shares = {split: chart.shares(split) for split in chart.totals}
    most = max(max(row) for row in shares.values()) or 1.0
    palette = report.info.palette if report.info is not None else ()
    head = "".join(f'<th colspan="2">{split}' for split in shares)
    rows = ""
    for index, name in enumerate(chart.names):
        cells = "".join(
            f"<td>{'' if chart.of == PIXELS else f'{chart.counts[split][index]}, '}{row[index]:.2%}"
            f'<td class="track"><div class="bar" style="width:{row[index] / most * 9:.2f}em"></div>'
            for split, row in shares.items()
        )
        colour = chart.colours[index] if index < len(chart.colours) else len(palette)
        rows += f"<tr><th>{_swatch(palette[colour]) if colour < len(palette) else ''}{escape(name)}{cells}</tr>"
    first = "keypoint" if chart.of in (KEYPOINTS, VISIBLE) else "class"
    table = f'<div class="wide"><table><tr><th>{first}{head}</tr>{rows}</table></div>'
    return f"<h2>{TITLES[chart.of]}</h2>{table}"


def _swatch(colour: Sequence[int]) -> str:
    return f'<span class="swatch" style="background:rgb({",".join(map(str, colour))})"></span>'
