"""A report as one HTML file: no network, tables that sort, charts as SVG."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from jinja2 import Environment
from markupsafe import Markup

from densepred.errors import Notice, UserError
from densepred.reporting import pictures, svg
from densepred.reporting.report import DIFFER, FIXED, Report, Worst
from densepred.reporting.text import SEEDS, Cell, repeated, seeds, shown

MOST = 8
"""Runs per chart, and runs with pictures: the best ones. Tables hold all."""
PICTURES = 8
"""Pictures per run: the worst images, so that the page stays small enough to send."""

TEMPLATE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{{ report.title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 0 auto; padding: 1rem;
  color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #e4e4e4; white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; }
td.words { white-space: normal; min-width: 14rem; }
th button { font: inherit; font-weight: 600; background: none; border: 0; padding: 0; cursor: pointer; color: #004a80; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
tbody tr:hover { background: #f3f7fa; }
figure { margin: 1rem 0; overflow-x: auto; } figure img { display: block; max-width: 100%; height: auto; }
svg { width: 100%; min-width: 36rem; max-width: 46rem; height: auto; font: 12px system-ui, sans-serif; }
svg .small { font-size: 10px; } figcaption { color: #555; font-size: .88rem; }
.legend { list-style: none; padding: 0; margin: .3rem 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem;
  font-size: .85rem; }
.key { display: inline-block; width: .9rem; height: .9rem; margin-right: .35rem; vertical-align: -2px; }
select { font: inherit; padding: .2rem; max-width: 100%; } .note { background: #fff7e0; padding: .5rem .8rem; }
</style>
</head>
<body>
<main>
<h1>{{ report.title }}</h1>
{% for note in notes %}<p class="note">{{ note }}</p>{% endfor %}
<h2>Runs</h2>
<p>{{ report.rows|length }} run{{ '' if report.rows|length == 1 else 's' }}. Select a heading to sort.</p>
{{ table("runs", report.columns, report.rows) }}
{% if seed_rows %}<h2>Seeds</h2>
<p>Runs that differ in the seed alone, as mean and sample standard deviation.</p>
{{ table("seeds", seed_columns, seed_rows) }}{% endif %}
{% for section in sections %}
<h2>{{ section.title }}</h2>
{% if section.figures|length > 1 %}<label>Show <select data-section="{{ section.key }}">
{% for name in section.figures %}<option value="{{ loop.index0 }}">{{ name }}</option>{% endfor %}
</select></label>{% endif %}
{% for figure in section.figures.values() %}
<div data-of="{{ section.key }}" {% if not loop.first %}hidden{% endif %}>{{ figure }}</div>{% endfor %}
{% endfor %}
{% if report.tests %}<h2>Significance</h2>
<p>Paired bootstrap over images, {{ resamples }} resamples, from the confusion matrix of each image.</p>
<ul>{% for test in report.tests %}<li>{{ test.sentence() }}</li>{% endfor %}</ul>{% endif %}
</main>
<script>
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("th button").forEach((button, column) => button.addEventListener("click", () => {
    const head = button.closest("th"), up = head.getAttribute("aria-sort") === "descending";
    table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => row.cells[column].dataset.value;
    const number = text => text === "" ? NaN : Number(text);
    const order = (a, b) => {
      const x = value(a), y = value(b), m = number(x), n = number(y);
      if (x === "" || y === "") return (x === "") - (y === "");
      const sign = up ? 1 : -1;
      return sign * (isNaN(m) || isNaN(n) ? x.localeCompare(y) : m - n);
    };
    const body = table.tBodies[0];
    [...body.rows].sort(order).forEach(row => body.append(row));
  }));
}
for (const select of document.querySelectorAll("select[data-section]")) {
  const parts = document.querySelectorAll(`[data-of="${select.dataset.section}"]`);
  const show = () => parts.forEach((part, number) => { part.hidden = number !== Number(select.value); });
  select.addEventListener("change", show);
  show();
}
</script>
</body>
</html>
"""
TABLE = """\
<div class="scroll"><table class="sortable" id="{{ key }}"><thead><tr>
{% for name in columns %}<th scope="col"{% if name in left %} class="text"{% endif %}>
<button type="button">{{ name }}</button></th>{% endfor %}</tr></thead>
<tbody>{% for row in rows %}<tr>{% for name, value in zip(columns, row) %}
<td data-value="{{ '' if value is none else value }}"
{%- if value is string and "=" in value %} class="text words"{% elif name in left %} class="text"{% endif %}>
{{- shown(value, name) }}</td>
{%- endfor %}</tr>{% endfor %}</tbody></table></div>
"""
ENVIRONMENT = Environment(autoescape=True, trim_blocks=True)


def as_html(report: Report, resamples: int) -> str:
    """Return the page; all text of the runs is escaped."""
    return ENVIRONMENT.from_string(TEMPLATE).render(
        report=report,
        notes=[*report.notes, *_cut(report)],
        table=_table,
        seed_columns=SEEDS,
        seed_rows=seeds(report.groups) if repeated(report) else [],
        sections=_sections(report),
        resamples=resamples,
    )


def _cut(report: Report) -> list[str]:
    """Tell that charts and pictures are of the best runs only, and pictures of the worst images only."""
    found = []
    if len(report.rows) > MOST:
        kinds = "Charts and pictures show" if any(one.pictures for one in report.worst.values()) else "Charts show"
        which = "best" if len({row[FIXED.index("metric")] for row in report.rows}) == 1 else "first"
        found.append(f"{kinds} the {MOST} {which} of {len(report.rows)} runs; tables and the Pareto plot hold all.")
    if any(len(one.pictures) > PICTURES for one in report.worst.values()):
        found.append(f"The page holds the {PICTURES} worst pictures per run; the evaluations hold more.")
    return found


def _table(key: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Markup:
    left = {name for name, *cells in zip(columns, *rows, strict=True) if any(isinstance(cell, str) for cell in cells)}
    drawn = ENVIRONMENT.from_string(TABLE).render(key=key, columns=columns, rows=rows, left=left, shown=shown, zip=zip)
    return Markup(drawn)


def _worst(key: str, worst: Worst, with_pictures: bool) -> Markup:
    """Return the table of the worst images of a run, and their pictures below it."""
    rows = [list(one) for one in worst.images]
    figures = [_picture(one) for one in worst.pictures[:PICTURES]] if with_pictures else []
    return Markup("").join([_table(key, ["image", worst.metric], rows), *figures])


def _picture(one: pictures.Picture) -> Markup:
    """Return a picture with name and score of its image; a damaged file is named by a notice and left out."""
    try:
        uri = pictures.embedded(one)
    except UserError as error:
        warnings.warn(f"{error}; left out of the report", Notice, stacklevel=2)
        return Markup("")
    facts = f"{one.image}: {one.metric} {one.score:.4f}"
    what = "image, ground truth, prediction and errors"
    figure = '<figure><img src="{}" alt="{}: {}"><figcaption>{}</figcaption></figure>'
    return Markup(figure).format(uri, facts, what, facts)


def _label(row: Sequence[Cell]) -> str:
    """Return the name of a run; of a job of a sweep, which is a number, with the overrides that not all runs share."""
    name, differing = str(row[0]), row[FIXED.index(DIFFER)]
    return f"{name}: {differing}" if differing and name.startswith("job ") else name


def _sections(report: Report) -> list[dict[str, object]]:
    """Return title, key and named figures of each section with charts; the names make its menu."""
    best = [str(row[0]) for row in report.rows[:MOST]]
    labels = {str(row[0]): _label(row) for row in report.rows}
    curves = {
        name: svg.lines({labels[run]: one[run] for run in best if run in one}, f"{name} by step", "step", name)
        for name, one in report.curves.items()
    }
    per_class = {}
    for kind, scores in report.scores.items():
        if shown_scores := {labels[run]: scores[run] for run in best if run in scores}:
            per_class[f"{kind} per class"] = svg.bars(shown_scores, f"{kind} per class")
    confusion = {
        labels[name]: svg.matrix(
            counts,
            classes,
            f"{name} ({report.conditions[name]}): percent of the pixels of each true class (rows) by prediction",
        )
        for name, (classes, counts) in report.matrices.items()
    }
    title = "{} against training speed; the Pareto front is filled"
    speed = {
        metric: svg.scatter(
            {labels[name]: point for name, point in one.points.items()},
            {labels[name] for name in one.front},
            title.format(metric),
            "images per second",
            metric,
        )
        for metric, one in report.speeds.items()
    }
    worst = {
        f"{labels[name]} ({report.conditions[name]})": _worst(f"worst-{number}", one, name in best)
        for number, (name, one) in enumerate(report.worst.items())
        if one.images
    }
    found = [
        ("Learning curves", "curves", curves),
        ("Scores per class", "classes", per_class),
        ("Quality against speed", "pareto", speed),
        ("Confusion matrices", "confusion", confusion),
        ("Worst images", "worst", worst),
    ]
    return [
        {"title": name, "key": key, "figures": {label: Markup(figure) for label, figure in figures.items()}}
        for name, key, figures in found
        if figures
    ]
