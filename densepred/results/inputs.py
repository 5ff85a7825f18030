"""The images of densepred-predict, and the folder of its results. Free of torch at the start, as commands are."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from densepred.errors import Notice, UserError
from densepred.home import expand
from densepred.output import many
from densepred.rundir import folder_lock

KINDS = (
    "labels",
    "latents",
    "overlays",
    "probabilities",
    "uncertainty",
    "instances",
    "panoptic",
    "reconstructions",
    "geotiff",
    "nifti",
)
"""Folders of results."""
SPLITS = ("train", "valid", "test")


def runs_of(ckpt: object) -> list[str]:
    """Return the checkpoints of `ckpt`, one text or a list; see `engine.ensemble`, which imports torch."""
    return [str(one) for one in ckpt] if isinstance(ckpt, list | tuple) and ckpt else [str(ckpt)]


def chosen(settings: Any) -> tuple[Path, list[Path]]:
    """Return the image or the folder of images, and the images: those of `input`, or of the split of a run."""
    if settings.split is None:
        if settings.input is None:
            raise UserError("input is not given; add input=IMAGE_OR_FOLDER to the command, or split=valid")
        source = expand(settings.input)
        found = images(source, expand(settings.output))
        return source, without_companions(found, source, settings.ckpt, settings.all_files)
    from densepred.dataset.paths import split_word
    from densepred.rundir import splits
    from densepred.weights.header import find_weights

    run, split = find_weights(runs_of(settings.ckpt)[0]).parent, split_word(settings.split)
    record = splits.read(run)
    if record is not None and split not in record.splits and split in SPLITS:
        from densepred.results import own_split

        moved = None if settings.input is None else expand(settings.input)
        record = own_split.found(runs_of(settings.ckpt)[0], run, split, moved, settings.max_pixels)
        root, names = Path(record.root), own_split.names(record, split)
    else:
        root, names = splits.files(run, split)
    source = expand(settings.input) if settings.input is not None else root
    files = [source / name for name in names]
    if missing := [file for file in files if not file.is_file()]:
        raise UserError(
            f"split={settings.split}: {len(missing)} of {len(files)} images of {run / splits.FILE} are gone, such as "
            f"{missing[0]}; put them back, or type input=ROOT if the dataset was moved"
        )
    if record is not None:
        _tell_trained(settings, record, split)
    return source, files


def _tell_trained(settings: Any, record: Any, split: str) -> None:
    """Issue a notice for each further run of an ensemble that was trained on images of a split of the record."""
    from densepred.hub import zoo
    from densepred.rundir import splits
    from densepred.weights.header import find_weights

    for one in [one for one in runs_of(settings.ckpt)[1:] if not zoo.is_name(one)]:
        before = splits.read(find_weights(one).parent)
        if before is None:
            continue
        for fact in splits.trained_on(before, splits.Record(record.root, {split: record.splits[split]})):
            text = f"split={settings.split}: {fact} by {one}; predictions of them look better than those of new images"
            warnings.warn(text, Notice, stacklevel=3)


def images(source: Path, output: Path | None = None) -> list[Path]:
    """List the image itself, or the images of a folder and its subfolders in order, without those below `output`.

    A folder without images may hold volumes in their place. A notice counts the other files. Raises UserError without
    any image or volume.
    """
    from densepred.dataset.image_file import EXTENSIONS
    from densepred.dataset.listing import LeftOut, image_files

    if source.is_file():
        return [source]
    if not source.is_dir():
        remedy = _meant(str(source))
        raise UserError(f"input={source}: there is no such file or folder; {remedy}")
    left_out = LeftOut()
    found = image_files(source, output, left_out)
    if not found:
        found, left_out.volumes = sorted(left_out.volumes), []
    apart = [what for what, files in (("video", left_out.videos), ("volume", left_out.volumes)) if files]
    counts, remedy = left_out.counts(), f"give each {' and each '.join(apart)} by itself, input=FILE" if apart else ""
    if not found:
        kinds = ", ".join(sorted(EXTENSIONS))
        facts = f"holds no images ({kinds}){f', only {counts}' if counts else ''}"
        raise UserError(f"input={source}: {facts}; {remedy or 'check the path'}")
    if counts:
        text = f"input={source}: left out {counts}{remedy and f'; {remedy}'}"
        warnings.warn(text, Notice, stacklevel=2)
    return _cases(found, source)


def _cases(files: list[Path], source: Path) -> list[Path]:
    """Leave out files that are read as further channels of another one, with a notice."""
    from densepred.dataset import channel_files

    if further := channel_files.later(files):
        file, first = next(iter(further.items()))
        text = f"{many(len(further), 'file holds a further channel', 'files hold further channels')} of a case"
        names = f"{file.relative_to(source)} of {first.relative_to(source)}"
        warnings.warn(f"input={source}: {text}, by dataset.json ({names})", Notice, stacklevel=3)
    return [file for file in files if file not in further]


def without_companions(files: list[Path], source: Path, ckpt: object, keep: bool = False) -> list[Path]:
    """Leave out masks and other files that belong to an image of the folder, with a notice that counts them.

    With `keep` all stay, with a notice if there are none.
    """
    found = companions_of(files, source, ckpt) if len(files) > 1 else {}
    if keep:
        if not found:
            text = "all_files=true: has no effect: no file is named after an image, so none is left out"
            warnings.warn(text, Notice, stacklevel=2)
        return files
    if found:
        pairs = [f"{mask.relative_to(source)} of {image.relative_to(source)}" for mask, image in found.items()]
        names = ", ".join(pairs[:2]) + (", ..." if len(pairs) > 2 else "")
        text = f"left out {many(len(found), 'file')} named after images ({names})"
        warnings.warn(f"input={source}: {text}; all_files=true predicts them too", Notice, stacklevel=2)
    return [file for file in files if file not in found]


def companions_of(files: list[Path], source: Path, ckpt: object) -> Mapping[Path, Path]:
    """Return the image that each mask, and other file of an image, belongs to, by the words of the run."""
    from densepred.dataset.companions import Words, companions
    from densepred.results import recorded

    _, settings = recorded.dataset(runs_of(ckpt)[0])
    words = {key: value for key in Words.__slots__ if isinstance(value := settings.get(key), str)}
    return companions(files, source, Words(**words))


def _meant(source: str) -> str:
    """Return the remedy for an input that is no path: an address, or a pattern that the shell has not replaced."""
    if re.match(r"[a-z]{2,}:/", source):
        return "download it, and give the file"
    return "give the folder instead of a pattern" if "*" in source else "check the path"


def release(output: Path) -> None:
    """Remove the record of this command from a folder without results, so that it keeps no other command out."""
    from densepred.dataset.listing import RECORD

    with contextlib.suppress(OSError):
        inside = sorted(output.rglob("*"), reverse=True)
        if [path for path in inside if not path.is_dir()] == [output / RECORD]:
            (output / RECORD).unlink()
            for empty in [path for path in inside if path.is_dir()]:
                empty.rmdir()
            output.rmdir()


_taken: list[int] = []  # descriptors of folders that this process writes results to


@contextlib.contextmanager
def letting_go() -> Iterator[None]:
    """Give the folder that `claim` takes inside the block back at its end."""
    try:
        yield
    finally:
        while _taken:
            os.close(_taken.pop())


def _take(output: Path) -> None:
    """Keep other commands out of a folder until `letting_go` ends, or this process."""
    handle = folder_lock.take(output)
    if handle is None:
        raise UserError(
            f"output={output}: another densepred-predict writes there; wait for its end, or choose another output"
        )
    _taken.append(handle)


def claim(output: Path, source: Path, settings: Any) -> None:
    """Leave the record of this command in the output folder, and keep others out until `letting_go` ends.

    Raises UserError if it holds results of another checkpoint or other images, except with `overwrite`; results of the
    same are replaced, with a notice. Raises it too if another command writes there.
    """
    from densepred import atomic
    from densepred.dataset.listing import RECORD, record

    runs = [os.path.abspath(expand(one)) for one in runs_of(settings.ckpt)]
    ours = {"ckpt": runs[0] if len(runs) == 1 else runs, "input": os.path.abspath(source), "split": settings.split}
    output.mkdir(parents=True, exist_ok=True)
    _take(output)
    former = record(output)
    if former is not None and any(former.get(key) != value for key, value in ours.items()):
        holds = f"holds predictions of ckpt={former.get('ckpt')} input={former.get('input')}"
    else:
        kinds = [kind for kind in KINDS if former is None and (output / kind).exists()]
        holds = f"holds {', '.join(kinds)} without {RECORD}" if kinds else None
    if holds and not settings.overwrite:
        raise UserError(f"output={output}: {holds}; choose another output, or type overwrite=true to write over them")
    if holds or former is not None:
        text = "former predictions are replaced; those of images that are gone stay"
        warnings.warn(f"output={output}: {text}", Notice, stacklevel=2)
    written = {"command": "densepred-predict", **ours}
    try:
        atomic.write_json(output / RECORD, written)
    except FileNotFoundError:  # a command that was refused has removed the folder, which was empty
        output.mkdir(parents=True, exist_ok=True)
        _take(output)
        atomic.write_json(output / RECORD, written)
