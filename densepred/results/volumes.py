"""Predictions of volumes: each slice is an image, and their class maps become a volume on the same grid."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densepred import atomic
from densepred.dataset import nifti_file
from densepred.dataset.image import Stored, from_array
from densepred.dataset.intensity import white_in
from densepred.dataset.nifti_file import Values, Volume
from densepred.dataset.volume_cases import CHANNEL
from densepred.engine import detection_limits
from densepred.errors import Notice, UserError
from densepred.nn import choose
from densepred.output import many
from densepred.predictor import Predictor
from densepred.process.memory import free_memory
from densepred.results import recorded
from densepred.results.files import OverlaySettings, Results
from densepred.results.in_parallel import TOGETHER
from densepred.results.inputs import claim, release, runs_of
from densepred.results.interruption import explained, stopping
from densepred.results.predicting import Found, Predicting, Work, Writers
from densepred.results.written import note, tell_missing
from densepred.rundir.progress_bar import ProgressBar
from densepred.settings import PredictSettings

KIND = "nifti"
IDLE = {"boxes": None, "coco_ids": None, "latents": False, "fps": None}
"""Settings that mean nothing for volumes, and their values."""
OF_SLICES = ("probabilities", "uncertainty")
"""Settings of files that are written per slice."""


@dataclass(frozen=True, slots=True)
class Case:
    """The files of the channels of a volume, and the path of its results below the output folder, without suffix."""

    files: tuple[Path, ...]
    place: Path


def are_volumes(files: Sequence[Path]) -> bool:
    """Return True for files of NIfTI. `inputs.images` lists these or images, never both."""
    return any(map(nifti_file.is_volume, files))


def predict(
    settings: Any, source: Path, files: Sequence[Path], output: Path, load: Callable[[Any], Predictor]
) -> tuple[int, int]:
    """Predict volumes slice by slice. Return the number of volumes, and of those that could not be predicted.

    Raises UserError for settings that mean nothing here, or if no volume can be predicted.
    """
    _check(settings)
    model = load(settings)  # first: without a checkpoint nothing is known of its volumes
    plane = _plane(settings)
    work = cases(files, source, model.info.channels)
    claim(output, source, settings)
    options = OverlaySettings(settings.overlay, settings.threshold, settings.probabilities, settings.uncertainty)
    writer = Results(output, model.info, options)
    one = _Slices(Predicting(model, settings, Writers(writer)), nifti_file.AXES[plane])
    failed = 0
    for done, case in enumerate(ProgressBar("predicting", len(work), "volume").over(iter(work))):
        try:
            with stopping(done, len(work)):
                one.predict(case)
        except UserError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    if failed == len(work):
        release(output)
        raise UserError(f"{source}: none of {many(failed, 'volume')} could be predicted; see the lines above")
    writer.join(one.places)
    writer.tell_of_hidden()
    detection_limits.tell_of_full(model.task.codec, one.count)
    if settings.frames:
        tell_missing(settings, writer.kinds, any(kind.endswith(".json") for kind in writer.kinds))
    note(output, writer.kinds.values())
    kinds = ", ".join(f"{output}/{kind}" for kind in writer.kinds.values())
    print(
        f"{len(work) - failed} of {many(len(work), 'volume')} predicted, {many(one.count, f'{plane} slice')}: {kinds}"
    )
    return len(work), failed


def _check(settings: Any) -> None:
    for key, default in IDLE.items():
        if (value := getattr(settings, key)) != default:
            raise UserError(f"{key}={value}: means nothing for volumes of NIfTI; leave it out")
    for key in OF_SLICES:
        if getattr(settings, key) and not settings.frames:
            raise UserError(f"{key}=true: is written per slice; add frames=true, or leave it out")
    if settings.threshold != PredictSettings.threshold and not settings.frames:
        text = f"threshold={settings.threshold:g}: has no effect: only overlays of slices use it; type frames=true"
        warnings.warn(text, Notice, stacklevel=2)
    if settings.workers not in ("auto", 0):
        text = f"workers={settings.workers}: has no effect: volumes are predicted one after another"
        warnings.warn(text, Notice, stacklevel=2)


def _plane(settings: Any) -> str:
    """Return the plane of the slices: that of the command, else that of the run."""
    trained = recorded.dataset(runs_of(settings.ckpt)[0])[1].get("axis")
    if settings.axis is not None:
        choose("axis", settings.axis, tuple(nifti_file.AXES))
        if trained is not None and trained != settings.axis:
            text = f"axis={settings.axis}: the run was trained on {trained} slices"
            warnings.warn(text, Notice, stacklevel=2)
        return settings.axis
    if trained not in nifti_file.AXES:
        raise UserError("axis: the run was not trained on volumes; type axis=axial, axis=coronal or axis=sagittal")
    return str(trained)


def cases(files: Sequence[Path], source: Path, channels: int) -> list[Case]:
    """Return volumes as cases of so many channels: `case_0000.nii.gz`, `case_0001.nii.gz`, ... are one.

    Of a single file the other channels are those beside it. Raises UserError if two cases have one name.
    """
    folder = source if source.is_dir() else source.parent
    groups: dict[Path, list[Path]] = {}
    for file in files if source.is_dir() else _beside(files[0], channels):
        numbered = CHANNEL.fullmatch(nifti_file.stem(file))
        groups.setdefault(file.parent / (numbered[1] if numbered else nifti_file.stem(file)), []).append(file)
    found = list[Case]()
    for name, group in groups.items():
        place = name.relative_to(folder)
        if [nifti_file.stem(file) for file in group] == [f"{name.name}_{number:04d}" for number in range(channels)]:
            found.append(Case(tuple(group), place))
        else:
            found += [Case((file,), place.with_name(nifti_file.stem(file))) for file in group]
    places = Counter(case.place for case in found)
    if twice := next((case for case in found if places[case.place] > 1), None):
        names = " and ".join(case.files[0].name for case in found if case.place == twice.place)
        raise UserError(f"{twice.files[0].parent}: {names} would write one file, {twice.place}; rename one")
    return found


def _beside(file: Path, channels: int) -> list[Path]:
    """Return a file, with the other channels of its case if the folder holds them all."""
    numbered = CHANNEL.fullmatch(nifti_file.stem(file))
    if numbered is None or channels == 1:
        return [file]
    ending = file.name[len(nifti_file.stem(file)) :]
    others = [file.with_name(f"{numbered[1]}_{number:04d}{ending}") for number in range(channels)]
    if file not in others or not all(other.is_file() for other in others):
        return [file]
    text = f"input={file}: read with {', '.join(other.name for other in others if other != file)} as channels"
    warnings.warn(text, Notice, stacklevel=2)
    return others


class _Slices:
    """Predicts volumes by their slices across an axis.

    count: slices so far; places: those of files per slice
    """

    def __init__(self, predicting: Predicting, axis: int) -> None:
        self.predicting, self.axis = predicting, axis
        self.count, self.places, self.told = 0, list[Path](), False
        settings, model = predicting.settings, predicting.model
        size = settings.batch_size or (1 if model.device.type == "cpu" else TOGETHER)
        self.size = size if predicting.joinable() else 1

    def predict(self, case: Case) -> None:
        """Predict a volume, and write its class map."""
        settings, results = self.predicting.settings, self.predicting.writers.results
        volumes = [nifti_file.read_header(file, self.axis, settings.max_pixels) for file in case.files]
        self._check(volumes)
        maps = list[np.ndarray]()
        for found in self._found(case, volumes):
            if found.annotation.semantic is not None:
                maps.append(found.annotation.semantic.cpu().numpy())
            elif not settings.frames:
                fact = f"{case.files[0]}: the model predicts no class map"
                raise UserError(f"{fact}; type frames=true for files per slice")
            self._tell_instances(found)
            if settings.frames:
                self.places.append(found.work.place)
                self.predicting.writers.write(found)
            self.count += 1
        if maps:
            results.names()
            ending = case.files[0].name[len(nifti_file.stem(case.files[0])) :]
            whole = volumes[0].assembled(np.stack(maps), self.axis)
            atomic.write_bytes(results.path(KIND, "labels" / case.place, ending), nifti_file.alike(volumes[0], whole))

    def _check(self, volumes: Sequence[Volume]) -> None:
        for other in volumes[1:]:
            nifti_file.check_alike(volumes[0], other)
        count, wanted = sum(volume.channels for volume in volumes), self.predicting.model.info.channels
        if count != wanted and {count, wanted} != {1, 3}:
            names = f"NAME_0000.nii.gz to NAME_{wanted - 1:04d}.nii.gz"
            raise UserError(f"{volumes[0].path}: has {count} channels where {wanted} are needed; give {names}")

        size, free = sum(one.size for one in volumes if one.path.name.lower().endswith(".gz")), free_memory()
        if free is not None and size > free:
            fact = f"{size >> 20} MiB, decompressed, are more than the free memory of {free >> 20} MiB"
            raise UserError(f"{volumes[0].path}: {fact}; save it as .nii, of which slices are read one by one")

    def _found(self, case: Case, volumes: Sequence[Volume]) -> Iterator[Found]:
        """Yield the predictions of the slices, from the right, the back or the foot on."""
        total, inside = volumes[0].shape[self.axis], [Values(volume) for volume in volumes]
        for start in range(0, total, self.size):
            batch = list[tuple[Work, Stored]]()
            for number in range(start, min(start + self.size, total)):
                parts = [one.slice(self.axis, number, all) for one, all in zip(volumes, inside, strict=True)]
                place = case.place / f"{number:04d}"
                work = Work(case.files[0], place.with_suffix(".png"), place, self.count + number - start + 1)
                batch.append((work, Stored(self._pixels(np.concatenate(parts, 2), case.files[0]))))
            with explained(case.files[0], self.predicting.settings.tile):
                found = self.predicting.find(batch)
            yield from found

    def _pixels(self, values: np.ndarray, path: Path) -> Any:
        """Return the image of a slice (H, W, channels); numbers other than bytes are mapped by the window alone."""
        info = self.predicting.model.info
        if info.window is not None or values.dtype != np.uint8:
            values = values.astype(np.float32)
        return from_array(np.ascontiguousarray(values), info.channels, white_in(info), str(path))

    def _tell_instances(self, found: Found) -> None:
        if found.annotation.instances is not None and not self.predicting.settings.frames and not self.told:
            self.told = True
            text = "instances of slices are not joined to those of a volume; type frames=true for those of each slice"
            warnings.warn(text, Notice, stacklevel=3)
