"""densepred-check: read a whole dataset once and list its faults, worst first, each with its remedy."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from densepred import output
from densepred.cli import command, compose, overrides
from densepred.cli.typed import Typed
from densepred.errors import Notice, UserError, suggest
from densepred.home import expand
from densepred.process import starting

EXAMPLES = """
densepred-check dataset=folder dataset.root=DIR
densepred-check dataset=folder dataset.root=DIR html=report.html      one page with thumbnails and charts
densepred-check dataset=nuclei dataset.root=DIR task=instance_center      for the training of one task
densepred-check dataset=nuclei dataset.root=DIR format=json           for programs; the exit code is 2 if training fails
"""

FORMATS = ("text", "json")


def main() -> None:
    sys.argv[1:] = overrides.of_data(sys.argv[1:])
    command.run(check, "check", EXAMPLES)


def check(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    if settings.format not in FORMATS:
        raise UserError(f"format={settings.format}: there is no such format; give text or json")
    if settings.for_task is not None and settings.for_task not in (known := _tasks()):
        raise UserError(f"task={settings.for_task}: there is no such option; {suggest(settings.for_task, known)}")
    place, table = _place("html", settings.html), _place("classes_json", settings.classes_json)
    if table is not None and table.exists():
        raise UserError(f"classes_json={table}: exists, and its names may have been edited; choose another place")
    from densepred import atomic  # the rest with torch, which --help does without
    from densepred.inspection import machine, page, report
    from densepred.inspection.finding import exit_code
    from densepred.inspection.inspect import inspect

    starting.imported()
    found = inspect(settings, command.overrides())
    train = found.splits.get("train")
    if found.info is not None and train is not None and not exit_code(found.findings):
        given = settings.data.crop
        found.batch = machine.suggest(found.info, train["crop"], train["images"], settings.for_task, given)
    if place is not None:
        written = page.page(found, f"densepred-check dataset={command.choices()['dataset']}")
        atomic.replace(place, lambda temporary: temporary.write_text(written, "utf-8", "backslashreplace"))
    if table is not None:
        _write_table(table, found.table)
    if settings.format == "text":
        print("\n".join([report.text(found), *_written(place, table if found.table else None)]))
    else:
        with output.whole():
            print(json.dumps(found.to_json(), indent=1))
    return exit_code(found.findings)


def _tasks() -> set[str]:
    return Typed("train", command.configs(), sys.argv[1:]).options("task")


def _place(key: str, path: str | None) -> Path | None:
    place = None if path is None else expand(path)
    if place is not None and not place.parent.is_dir():
        raise UserError(f"{key}={place}: there is no folder {place.parent}; make it or choose another place")
    return place


def _write_table(place: Path, table: dict[str, Any] | None) -> None:
    if table is None:
        warnings.warn(f"classes_json={place}: not written, because no masks in colours need it", Notice, stacklevel=2)
        return
    from densepred import atomic
    from densepred.dataset import class_file

    atomic.write_bytes(place, class_file.text(table["classes"]))


def _written(page: Path | None, table: Path | None) -> list[str]:
    """Return the lines on the files that were written."""
    lines = [f"  written to {page}"] if page is not None else []
    lines += [f'  written to {table}: edit the names, and add "ignore": true to a class that is void'] if table else []
    return ["", *lines] if lines else []


if __name__ == "__main__":
    main()
