"""densepred-report: compare all runs below a folder, or write the model card of one."""

from __future__ import annotations

import shutil
import sys
import warnings
from functools import partial
from pathlib import Path

from omegaconf import DictConfig

from densepred import atomic
from densepred.cli import command, compose
from densepred.errors import Notice, UserError
from densepred.home import expand
from densepred.settings import ReportSettings

EXAMPLES = """
densepred-report runs=DIR                          tables, charts and tests: report/index.html, report.md, runs.csv
densepred-report runs=DIR evaluations=DIR2         with evaluations from elsewhere
densepred-report card ckpt=RUN license=apache-2.0  the model card of a run, RUN/README.md
densepred-report card ckpt=RUN license=mit push=USER/NAME  also upload weights and card to Hugging Face
"""


def main() -> None:
    if sys.argv[1:2] == ["card"]:
        sys.argv[1] = "card=true"
    command.run(report, "report", EXAMPLES)


def report(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    return _card(settings) if settings.card else _report(settings)


def _card(settings: ReportSettings) -> int:
    from densepred.engine import temperature
    from densepred.hub import upload
    from densepred.reporting.card import card
    from densepred.weights.header import find_weights

    if settings.runs is not None:
        raise UserError(f"runs={settings.runs}: a card is of one run; give ckpt=RUN, or leave card out")
    if settings.ckpt is None:
        raise UserError("ckpt is not given; add ckpt=RUN to the command")
    if settings.push is not None:
        upload.check(settings.push)
    weights = find_weights(settings.ckpt)
    output = weights.parent / "README.md" if settings.output is None else expand(settings.output)
    if output.exists() and not settings.overwrite:
        raise UserError(f"{output}: exists already; type overwrite=true to replace it, or output=OTHER.md")
    if settings.push is not None and settings.license is None:
        raise UserError(
            f"push={settings.push}: weights that others get need a licence; add license=apache-2.0 or another"
        )
    text = card(weights, settings.license, settings.data_license, settings.push)
    atomic.replace(output, lambda path: path.write_text(text, encoding="utf-8"))
    print(f"model card of {weights} written to {output}")
    if settings.push is not None:
        if temperature.held(weights):
            text = f"{temperature.FILE} is not uploaded, so probabilities from there are those of the network"
            warnings.warn(f"push={settings.push}: {text}", Notice, stacklevel=2)
        print(f"uploaded to {upload.upload(weights, output, settings.push, settings.private)}")
        print(f"to use it: densepred-predict ckpt=hf:{settings.push} input=IMAGE_OR_FOLDER")
    return 0


def _report(settings: ReportSettings) -> int:
    if settings.ckpt is not None:
        raise UserError(f"ckpt={settings.ckpt}: a report is on a folder of runs; give runs=DIR, or type: card ckpt=RUN")
    if settings.push is not None:
        raise UserError(f"push={settings.push}: a card is uploaded, not a report; type: card ckpt=RUN push=USER/NAME")
    if settings.runs is None:
        raise UserError("runs is not given; add runs=DIR to the command")
    from densepred.reporting import compare, page, runs, text
    from densepred.reporting.report import make

    folder = expand(settings.runs)
    found = runs.find(folder, expand(settings.evaluations))
    output = expand(settings.output or "report")
    made = make(found.runs, settings.title or f"Runs in {folder.resolve().name}", found.left_out)
    files = {
        "index.html": page.as_html(made, compare.RESAMPLES),
        "report.md": text.as_markdown(made),
        "runs.csv": text.as_csv(made),
    }
    output.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():  # names of images may hold what is no text
        write = partial(Path.write_text, data=content, encoding="utf-8", errors="backslashreplace")
        atomic.replace(output / name, write)
    from densepred.rundir import console

    print(f"densepred-report\n{console.table(*text.summary(made, shutil.get_terminal_size().columns))}")
    for line in [*(test.sentence() for test in made.tests), *made.notes]:
        print(f"  {line}")
    print(f"\n  {len(found.runs)} run{'s' * (len(found.runs) != 1)}; written to {output}: {', '.join(files)}")
    return 0


if __name__ == "__main__":
    main()
