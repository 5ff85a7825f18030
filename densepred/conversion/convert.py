"""Convert all splits of a dataset into a new folder, and report what the form does not hold."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from densepred import atomic
from densepred.contracts import Dataset
from densepred.conversion import pictures
from densepred.conversion.coco_form import CocoForm
from densepred.conversion.folder_form import FolderForm
from densepred.dataset.facts import counted
from densepred.errors import MachineError, Misfit, UserError
from densepred.jobs import parts
from densepred.loader.samples import checked
from densepred.output import many
from densepred.rundir.progress_bar import ProgressBar
from densepred.settings import ConvertSettings
from densepred.types import VOID, Annotation, Info, Sample

FORMS = {"folder": FolderForm, "coco": CocoForm}
SPLITS = ("train", "valid", "test")
Form = FolderForm | CocoForm


def convert(settings: ConvertSettings, output: Path) -> str:
    """Write `output`, whole or not at all, and return the report.

    Raises UserError if `output` holds anything, if a split or a sample cannot be read, or if the form cannot hold the
    annotations.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"output={output}: exists and is not empty; choose a new folder")
    notes: list[str] = []
    data = dict(_built(settings.dataset, notes))
    with atomic.new_folder(output) as root:
        form = FORMS[settings.form](root, data["train"].info)
        for split, one in data.items():
            if word := _other(one.info, form.info):
                raise UserError(f"dataset.splits.{split}: its {word} differ from those of train; convert it by itself")
            notes.append(_split(form, root, split, one, settings))
        form.finish()
    return _report(form, notes, output)


def _other(info: Info, train: Info) -> str | None:
    """Return what a split numbers otherwise than training, which names it in the result; None if nothing."""
    if info.classes != train.classes:
        return "classes"
    words = ("keypoints", "limbs")
    return next((word for word in words if getattr(info, word) not in ((), getattr(train, word))), None)


def _built(node: Mapping[str, Any], notes: list[str]) -> Iterator[tuple[str, Dataset]]:
    """Yield the splits; a dataset may have no `test`, and fractions no `valid`, which becomes a note.

    White is that of training for all of them, as in a run.
    """
    typed = dict(node)
    for split in SPLITS:
        try:
            data = parts.dataset(typed, split)
            if split == "train":
                typed = parts.read_as_trained(typed, {"max_value": data.info.max_value})
            yield split, data
        except UserError as error:
            undivided = isinstance(error, Misfit) and error.cause == "no_fraction"
            if split == "train" or (split == "valid" and not undivided):
                raise
            notes.append(f"{split}: left out, because it cannot be read: {error}")


def _split(form: Form, root: Path, split: str, data: Dataset, settings: ConvertSettings) -> str:
    """Write the samples of a split, and return its line of the report."""
    files, seen, facts = data.files(), dict[str, str](), Counter[str]()
    for index in ProgressBar(split, len(data), "image", to=sys.stderr).over(range(len(data))):
        try:
            sample = checked(data[index])
        except UserError as error:
            if settings.data.on_bad != "skip" or isinstance(error, MachineError):
                raise
            facts["skipped"] += 1
            form.left[f"unreadable: {error}"] += 1
            continue
        _add(form, root, split, sample, None if files is None else files[index], seen, settings.data.max_pixels)
        facts["images"] += 1
        facts["empty"] += _is_empty(sample.truth)
    extra = f", {facts['skipped']} unreadable and left out" if facts["skipped"] else ""
    return f"{split}: {many(facts['images'], 'image')}, {facts['empty']} of them without any annotation{extra}"


def _add(
    form: Form, root: Path, split: str, sample: Sample, source: Path | None, seen: dict[str, str], max_pixels: int
) -> None:
    place = pictures.place_of(sample.frame.id, split)
    if place.casefold() in seen:
        raise UserError(
            f"{split}: two samples are called {place} (and {seen[place.casefold()]}), where case "
            "does not count; give them different names"
        )
    seen[place.casefold()] = place
    target = root / "images" / form.name(split) / place
    file = pictures.write(sample.image, target, source, form.info, max_pixels)
    form.add(sample, split, place, file)


def _is_empty(truth: Annotation) -> bool:
    """Tell if an image has neither an instance nor a labelled pixel."""
    if truth.rows() or truth.instances is not None:
        return truth.count == 0
    return truth.semantic is None or bool((truth.semantic == VOID).all())


def _report(form: Form, notes: list[str], output: Path) -> str:
    left = [f"  {counted(times, what)}" for what, times in form.left.items() if times]
    notes += [form.note] if form.note else []
    lines = [*notes, *(["left out or changed:", *left] if left else ["nothing is left out"]), "to read it:"]
    return "\n".join([*lines, *(f"  {words}" for words in form.readers(output.resolve()))])
