"""The report as one HTML file without links to other files: findings, thumbnails of samples, charts of the classes."""

from __future__ import annotations

import base64
from html import escape

from densepred.inspection.finding import Finding
from densepred.inspection.report import Report

PICTURES = 12
"""Thumbnails per finding."""
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70em;margin:2em auto;padding:0 1em;color:#222}
section{border-left:5px solid #999;padding:.2em 1em;margin:1em 0;background:#f7f7f7}
section.error{border-color:#c22}section.warning{border-color:#d80}section.note{border-color:#48c}
code{background:#eee;padding:.1em .3em;white-space:pre-wrap}figure{display:inline-block;margin:.4em;font-size:12px}
figcaption{max-width:128px;overflow-wrap:anywhere}
table{border-collapse:collapse}td,th{padding:.2em .7em;text-align:left}
.bar{background:#48c;height:.9em;min-width:1px}"""


def page(report: Report, title: str) -> str:
    """Return the whole page. Names of files and classes are escaped."""
    pictures = {one.id: one.thumbnail for found in report.facts.values() for one in found if one.thumbnail}
    body = [f"<h1>{escape(title)}</h1>", _splits(report)]
    body += [f"<p>{len(report.findings)} findings, worst first.</p>"]
    body += [_section(one, pictures) for one in report.findings]
    body += [_classes(report)] if report.shares else []
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _splits(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{split}<td>{row['images']}<td>{row['objects']}<td>{escape(', '.join(row['sizes']))}"
        f"<td>{row['channels']}<td>{row['mean']}<td>{row['std']}</tr>"
        for split, row in report.splits.items()
    )
    names = ("split", "images", "objects", "sizes", "channels", "mean", "std")
    return f"<table><tr>{''.join(f'<th>{name}' for name in names)}</tr>{rows}</table>"


def _section(one: Finding, pictures: dict[str, bytes]) -> str:
    shown = [name for name in one.samples if name in pictures][:PICTURES]
    figures = "".join(
        f'<figure><img src="data:image/jpeg;base64,{base64.b64encode(pictures[name]).decode()}" alt="">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name in shown
    )
    names = "".join(f"<li>{escape(name)}" for name in one.samples)
    files = f"<details><summary>{len(one.samples)} samples</summary><ul>{names}</ul></details>" if names else ""
    return (
        f'<section class="{one.level}"><h2>{one.level}: {escape(one.kind)}</h2><p>{escape(one.fact)}</p>'
        f"<p><code>{escape(one.remedy)}</code></p>{figures}{files}</section>"
    )


def _classes(report: Report) -> str:
    head = "".join(f"<th>{split}" for split in report.shares)
    rows = ""
    for index, name in enumerate([*report.classes, "void"]):
        cells = "".join(
            f'<td>{row[index]:.2%}<div class="bar" style="width:{row[index] * 12:.2f}em"></div>'
            for row in report.shares.values()
        )
        rows += f"<tr><th>{escape(name)}{cells}</tr>"
    return f"<h2>Share of the pixels per class</h2><table><tr><th>class{head}</tr>{rows}</table>"
