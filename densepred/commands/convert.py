"""densepred-convert: write any dataset as folders or COCO's JSON, or predictions as what labelling tools import."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from omegaconf import DictConfig

from densepred.cli import command, compose, overrides
from densepred.errors import Notice, UserError
from densepred.home import expand
from densepred.process import starting
from densepred.settings import ConvertSettings

EXAMPLES = """
densepred-convert dataset=voc dataset.root=DIR output=DIR2             images, masks and classes.json
densepred-convert dataset=nuclei dataset.root=DIR output=DIR2 form=coco     for programs that import COCO's JSON
densepred-convert input=predictions form=cvat output=annotations.xml        instances, boxes or keypoints, for CVAT
densepred-convert input=predictions form=label_studio output=tasks.json     the same for Label Studio
densepred-convert input=predictions form=labelme output=DIR2                for labelme; form=via for VIA
"""

FORMS = ("folder", "coco")
DRAWN = "densepred.dataset.shapes.Shapes"  # the dataset of a command that names none
OF_PREDICTIONS = ("cvat", "label_studio", "labelme", "via", "coco")


def main() -> None:
    sys.argv[1:] = overrides.of_data(sys.argv[1:])
    command.run(convert, "convert", EXAMPLES)


def convert(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    if settings.for_task is not None:
        text = f"task={settings.for_task}: has no effect: a conversion takes all that the dataset provides"
        warnings.warn(text, Notice, stacklevel=2)
    if settings.input is not None:
        return _predictions(settings)
    if settings.form in OF_PREDICTIONS and settings.form not in FORMS:
        raise UserError(f"form={settings.form}: is for predictions; add input=PREDICTIONS, or give folder or coco")
    if settings.form not in FORMS:
        raise UserError(f"form={settings.form}: there is no such form; give folder or coco")
    if settings.data.on_bad not in ("error", "skip"):
        raise UserError(f"data.on_bad={settings.data.on_bad}: give error or skip")
    if settings.coco_ids is not None:
        text = f"coco_ids={settings.coco_ids}: has no effect on a dataset: it is for predictions (input) with form=coco"
        warnings.warn(text, Notice, stacklevel=2)
    if settings.threshold != ConvertSettings.threshold:
        text = f"threshold={settings.threshold:g}: has no effect on a dataset: it is for predictions (input)"
        warnings.warn(text, Notice, stacklevel=2)
    from densepred.conversion import convert as conversion  # with torch, which --help does without

    starting.imported()
    print(conversion.convert(settings, expand(settings.output)))
    return 0


def _predictions(settings: Any) -> int:
    if settings.form not in OF_PREDICTIONS:
        forms = ", ".join(OF_PREDICTIONS)
        raise UserError(f"form={settings.form}: predictions cannot be written so; give one of {forms}")
    if settings.dataset.get("_target_") != DRAWN:
        warnings.warn(
            "dataset: is not read, because input names predictions; leave one of them out", Notice, stacklevel=2
        )
    if settings.coco_ids is not None and settings.form != "coco":
        text = f"coco_ids={settings.coco_ids}: has no effect on form={settings.form}, which has no ids of a COCO file"
        warnings.warn(text, Notice, stacklevel=2)
    from densepred.conversion import labelling

    output, ids = expand(settings.output), settings.coco_ids if settings.form == "coco" else None
    print(labelling.convert(expand(settings.input), output, settings.form, settings.threshold, ids))
    return 0


if __name__ == "__main__":
    main()
