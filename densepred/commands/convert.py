"""densepred-convert: write any dataset as folders of images and masks, or as COCO's JSON."""

from __future__ import annotations

from omegaconf import DictConfig

from densepred.cli import command, compose
from densepred.errors import UserError
from densepred.home import expand

EXAMPLES = """
densepred-convert dataset=voc dataset.root=DIR output=DIR2             images, masks and classes.json
densepred-convert dataset=nuclei dataset.root=DIR output=DIR2 form=coco     for programs that import COCO's JSON
"""

FORMS = ("folder", "coco")


def main() -> None:
    command.run(convert, "convert", EXAMPLES)


def convert(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    if settings.form not in FORMS:
        raise UserError(f"form={settings.form}: there is no such form; give folder or coco")
    if settings.data.on_bad not in ("error", "skip"):
        raise UserError(f"data.on_bad={settings.data.on_bad}: give error or skip")
    from densepred.conversion import convert as conversion  # with torch, which --help does without

    print(conversion.convert(settings, expand(settings.output)))
    return 0


if __name__ == "__main__":
    main()
