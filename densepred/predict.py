"""densepred-predict: apply a checkpoint to an image, a folder of images, a video, or volumes."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from densepred.cli import command, compose
from densepred.errors import Notice, UserError
from densepred.home import expand
from densepred.output import many
from densepred.process import processors, starting
from densepred.results.inputs import chosen, claim, letting_go, release
from densepred.results.interruption import explained, stopping
from densepred.results.places import destinations

if TYPE_CHECKING:
    from densepred.predictor import Predictor
    from densepred.results.latents import Latents
    from densepred.results.person_boxes import BoxFile, Detector
    from densepred.results.predicting import Predicting, Work
    from densepred.types import Info

EXAMPLES = """
densepred-predict ckpt=RUN input=IMAGE
densepred-predict ckpt=RUN input=DIR output=predictions
densepred-predict ckpt=RUN split=valid output=predictions
densepred-predict ckpt=RUN input=clip.mp4
densepred-predict ckpt=RUN input=case_0000.nii.gz
densepred-predict ckpt=RUN input=FRAMES fps=25
densepred-predict 'ckpt=[RUN1,RUN2]' input=DIR uncertainty=true
densepred-predict ckpt=torchvision:deeplabv3_resnet50 input=IMAGE
densepred-predict ckpt=POSE_RUN input=DIR boxes=DETECTION_RUN_OR_JSON
densepred-predict ckpt=AUTOENCODER_OR_PCA_RUN input=DIR latents=true
densepred-predict ckpt=RUN input=DIR tile=512 flip=true 'scales=[0.75,1.0,1.25]'
"""

PARTIAL = 4


def main() -> None:
    command.run(predict, "predict", EXAMPLES, free=["codec"])


def predict(cfg: DictConfig) -> int:
    """Predict every image. Returns the exit status: 4 if some could not be read."""
    with letting_go():
        return _predicted(cfg)


def _predicted(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    source, files = chosen(settings)
    output = expand(settings.output)
    from densepred.results import video, volumes

    if volumes.are_volumes(files):
        return PARTIAL if volumes.predict(settings, source, files, output, loaded)[1] else 0
    if settings.axis is not None:
        text = f"axis={settings.axis}: has no effect: {source} holds images, no volumes"
        warnings.warn(text, Notice, stacklevel=2)
    if settings.fps is not None or video.is_video(source):
        return predict_video(settings, source, files, output)
    if settings.frames:
        text = f"frames=true: has no effect: {source} holds images, whose files are written anyway"
        warnings.warn(text, Notice, stacklevel=2)
    return predict_images(settings, source, files, output)


def predict_images(settings: Any, source: Path, files: list[Path], output: Path) -> int:
    """Predict images one by one and write the results of each. Returns the exit status."""
    places = destinations(files, source, output)
    from densepred.engine import detection_limits
    from densepred.results import geotiff, in_parallel, spacing
    from densepred.results.files import OverlaySettings, Results
    from densepred.results.ids import image_ids, known_ids
    from densepred.results.predicting import Predicting, Work, Writers
    from densepred.results.written import note, tell_missing

    known = known_ids(expand(settings.coco_ids)) if settings.coco_ids else None
    ids = image_ids(files, source, known)
    model = loaded(settings)
    boxes = boxes_for(model, settings)
    tell_images(files, model.info, settings.max_pixels)
    latents = open_latents(model, settings, output)
    folder = source if source.is_dir() else source.parent
    work = [
        Work(file, file.relative_to(folder), place, number)
        for file, place, number in zip(files, places, ids, strict=True)
    ]
    _require_boxes(boxes, work)
    claim(output, source, settings)
    overlays = OverlaySettings(settings.overlay, settings.threshold, settings.probabilities, settings.uncertainty)
    writer = Results(output, model.info, overlays, known)
    maps = geotiff.writer(files, output, model.info)
    predicting = Predicting(model, settings, Writers(writer, maps, latents), boxes)
    failed = _failed(predicting, work, in_parallel.number(model, settings, files, maps is not None))
    if failed == len(files):
        release(output)
        raise UserError(f"{source}: none of {many(len(files), 'image')} could be predicted; see the lines above")
    writer.join(places)
    tell_missing(settings, writer.kinds, any(kind.endswith(".json") for kind in writer.kinds))
    writer.tell_of_hidden()
    detection_limits.tell_of_full(model.task.codec, len(files) - failed)
    written = [
        *writer.kinds.values(),
        *([f"{geotiff.KIND}/"] if maps is not None and maps.count else []),
        *([] if latents is None else latents.join(model.basis())),
        *spacing.write(files, places, output),
    ]
    note(output, written)
    kinds = ", ".join(f"{output}/{kind}" for kind in written)
    print(f"{len(files) - failed} of {many(len(files), 'image')} predicted: {kinds}")
    return PARTIAL if failed else 0


def _require_boxes(boxes: BoxFile | Detector | None, work: Sequence[Work]) -> None:
    """Raise UserError if the boxes come from a file that holds none of the images."""
    from densepred.results.person_boxes import BoxFile

    if isinstance(boxes, BoxFile):
        boxes.require([(one.number, one.name.with_suffix("").as_posix()) for one in work])


def _failed(predicting: Predicting, work: Sequence[Work], processes: int) -> int:
    """Predict and write every image; print the errors of those that could not be read, and return how many."""
    from densepred.results import in_parallel
    from densepred.rundir.progress_bar import ProgressBar

    with closing(in_parallel.outcomes(predicting, work, processes)) as outcomes:
        bar = ProgressBar("predicting", len(work), "image").over(outcomes)
        errors = [outcome.error for outcome in bar if outcome.error is not None]
    for error, count in Counter(errors).items():  # an image that is to blame is named, so that equal ones are of all
        print(f"error: {error}{f' ({count} images)' if count > 1 else ''}", file=sys.stderr)
    return len(errors)


def predict_video(settings: Any, source: Path, files: list[Path], output: Path) -> int:
    """Predict a video, or images as the frames of one, and write its overlays as a video. Returns the exit status."""
    from densepred.engine import detection_limits
    from densepred.results import video
    from densepred.results.files import OverlaySettings, Results
    from densepred.results.predicting import one
    from densepred.results.written import note, tell_missing

    clip, name = video.chosen(settings, source, files)
    for key, default in (("workers", "auto"), ("batch_size", None)):
        if (value := getattr(settings, key)) != default:
            text = f"{key}={value}: has no effect: the frames of a video are predicted one after another"
            warnings.warn(text, Notice, stacklevel=2)
    model = loaded(settings)
    boxes = boxes_for(model, settings)
    if settings.fps is not None:
        tell_images(files, model.info, settings.max_pixels)
    claim(output, source, settings)
    options = OverlaySettings(False, settings.threshold, settings.probabilities, settings.uncertainty)
    writer, places, scored = Results(output, model.info, options), [], False

    read = partial(video.read, info=model.info, max_pixels=settings.max_pixels)

    def picture(index: int, stored: Any) -> Any:
        """Write the files of a frame if they are wanted; return its overlay, None without."""
        nonlocal scored
        with stopping(index, clip.count), explained(source, settings.tile):
            pixels = stored.image
            found = one(model, pixels, settings, None if boxes is None else boxes(pixels, None, ""))
            stored.hide(found)
            scored |= found.scores is not None or found.keypoints is not None  # frames need not be files
            if settings.frames:
                places.append(Path(name, f"{index + 1:06d}"))
                writer.add(places[-1], index + 1, f"{places[-1].as_posix()}.png", pixels, found)
            elif found.semantic is not None and index == 0:
                writer.names()
            if not settings.overlay:
                return None
            writer.note_hidden(found)
            return video.overlay(pixels, found, model.info, settings.threshold)

    film = output / f"{name}.mp4"
    done = video.write(clip, film, read, picture) if settings.overlay else video.visit(clip, read, picture)
    writer.join(places)
    tell_missing(settings, writer.kinds, scored)
    writer.tell_of_hidden()
    detection_limits.tell_of_full(model.task.codec, done)
    note(output, written := [*[film.name] * settings.overlay, *writer.kinds.values()])
    kinds = ", ".join(f"{output}/{kind}" for kind in written)
    print(f"{many(done, 'frame')} predicted: {kinds}")
    return 0


def loaded(settings: Any) -> Predictor:
    """Load the checkpoint of the settings, prepared for them."""

    from densepred import predictor
    from densepred.cli import named_checkpoint
    from densepred.engine import ensemble
    from densepred.exporting import runtime
    from densepred.weights import trusted

    starting.imported()
    processors.use_threads(settings.threads)
    ckpt = [named_checkpoint.checkpoint(one) for one in ensemble.listed(settings.ckpt)]
    if settings.boxes is None:  # a detector may need packages of its own
        trusted.tell(ckpt, settings.trust)
    model = predictor.load(ckpt, precision=settings.precision, trust=settings.trust, codec=settings.codec)
    runtime.check_probabilities(model.model, settings.probabilities or settings.uncertainty)
    views = {"tile": settings.tile is not None, "flip": settings.flip, "scales": list(settings.scales) != [1.0]}
    runtime.tell_votes(model.model, [word for word, on in views.items() if on])
    return model


def boxes_for(model: Predictor, settings: Any) -> BoxFile | Detector | None:
    """Return the source of boxes that the settings name; make the model ready for the settings."""
    from densepred.results import person_boxes

    model.model.skip_stages(settings.skip_stages)
    model.require_views(settings.tile, settings.scales)  # before thousands of images are read for nothing
    if settings.flip:
        model.task.require_mirror()
    if settings.boxes is None:
        if model.task.codec.top_down:
            text = "boxes: none are given, so each whole image is the box of one instance; type boxes=RUN_OR_JSON"
            warnings.warn(text, Notice, stacklevel=2)
        return None
    model.require_instances()
    return person_boxes.open_boxes(
        settings.boxes, model.info, settings.box_threshold, settings.precision, settings.trust
    )


def open_latents(model: Predictor, settings: Any, output: Path) -> Latents | None:
    """Return the writer of latents if they are wanted; raise UserError if there are none or other views of images."""
    if not settings.latents:
        return None
    views = {"tile": settings.tile is not None, "flip": settings.flip, "scales": list(settings.scales) != [1.0]}
    if used := [name for name, value in views.items() if value]:
        raise UserError(f"latents=true: latents are those of the whole image as it is; leave {used[0]} out")
    model.require_latents()
    from densepred.results.latents import Latents

    return Latents(output)


def tell_images(files: list[Path], info: Info, max_pixels: int) -> None:
    """Issue a notice if images are scaled, converted, turned or left out in part, as training does at its start."""
    from densepred.dataset.image_header import describe_files

    what, *changes = describe_files(files, info, max_pixels).split("; ")
    if changes:
        warnings.warn(f"images: {'; '.join([what, *changes])}", Notice, stacklevel=2)


if __name__ == "__main__":
    main()
