"""densepred-check: read a whole dataset once and list its faults, worst first, each with its remedy."""

from __future__ import annotations

import json

from omegaconf import DictConfig

from densepred.cli import command, compose
from densepred.errors import UserError
from densepred.home import expand

EXAMPLES = """
densepred-check dataset=folder dataset.root=DIR
densepred-check dataset=folder dataset.root=DIR html=report.html      one page with thumbnails and charts
densepred-check dataset=nuclei dataset.root=DIR format=json           for programs; the exit code is 2 if training fails
"""

FORMATS = ("text", "json")


def main() -> None:
    command.run(check, "check", EXAMPLES)


def check(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    if settings.format not in FORMATS:
        raise UserError(f"format={settings.format}: there is no such format; give text or json")
    place = None if settings.html is None else expand(settings.html)
    if place is not None and not place.parent.is_dir():
        raise UserError(f"html={place}: there is no folder {place.parent}; make it or choose another place")
    from densepred import atomic  # the rest with torch, which --help does without
    from densepred.inspection import page, report
    from densepred.inspection.finding import exit_code
    from densepred.inspection.inspect import inspect

    found = inspect(settings)
    if place is not None:
        written = page.page(found, f"densepred-check dataset={command.choices()['dataset']}")
        atomic.replace(place, lambda temporary: temporary.write_text(written, "utf-8", "backslashreplace"))
    print(report.text(found) if settings.format == "text" else json.dumps(found.to_json(), indent=1))
    return exit_code(found.findings)


if __name__ == "__main__":
    main()
