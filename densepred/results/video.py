"""Overlays of a video, or of a folder of frames, as a video. One frame is in memory at a time.

PyAV (extra `video`) decodes and encodes. Times are the presentation times of the source, so rate and length are kept.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from densepred import atomic
from densepred.dataset.image import Stored, from_array, read_as_trained
from densepred.dataset.intensity import white_in
from densepred.dataset.listing import VIDEOS
from densepred.draw import maps
from densepred.draw.comparison import draw
from densepred.errors import Notice, UserError
from densepred.rundir.progress_bar import ProgressBar
from densepred.types import Annotation, Info

INSTALL = "pip install 'densepred[video]'"
QUALITY = {"crf": "18"}
"""Constant rate factor of H.264, at which losses are hard to see."""

Source = np.ndarray | Path  # pixels (H, W, 3) uint8 as displayed, or the file of a frame
Frame = tuple[Source, int]  # with its time in units of the clip
NO_FRAME = "no frame could be read; give a video that a player shows"
Read = Callable[[Source], Stored]
Picture = Callable[[int, Stored], Image.Image]


@dataclass(frozen=True)
class Clip:
    """Frames of a source, read one after the other.

    source: the file or folder; rate: frames per second; unit: seconds per unit of time
    count: the number of frames by the file's own account, None if it states none
    frames: reads them from the start; each call opens the source again
    """

    source: Path
    rate: Fraction
    unit: Fraction
    count: int | None
    frames: Callable[[], Iterator[Frame]]


def is_video(path: Path) -> bool:
    """Return True for a file with the suffix of a video."""
    return path.suffix.lower() in VIDEOS and path.is_file()


def require() -> Any:
    """Import PyAV; raise UserError with the command that installs it."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise UserError(f"PyAV is not installed; type {INSTALL}") from error


def open_clip(path: Path, max_pixels: int) -> Clip:
    """Open a video. Raises UserError if it is empty, broken, without pictures, or larger than `max_pixels`."""
    av = require()
    if not path.stat().st_size:
        raise UserError(f"input={path}: the file is empty; give a video")
    with _readable(path), av.open(str(path)) as container:
        if not container.streams.video:
            raise UserError(f"input={path}: holds no pictures; give a video")
        stream = container.streams.video[0]
        sides, count = stream.width * stream.height, stream.frames or None
        rate, unit = stream.average_rate or stream.guessed_rate or Fraction(25), stream.time_base
        if sides > max_pixels:
            raise UserError(
                f"input={path}: {stream.width} x {stream.height} pixels, more than max_pixels={max_pixels}; raise it"
            )
        if others := len(container.streams) - 1:
            text = f"input={path}: {others} other streams, such as sound, are not copied"
            warnings.warn(text, Notice, stacklevel=2)
    return Clip(path, Fraction(rate), Fraction(unit), count, lambda: _decoded(path))


def _decoded(path: Path) -> Iterator[Frame]:
    av = require()
    with _readable(path), av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for number, frame in enumerate(container.decode(stream)):
            time = frame.pts if frame.pts is not None else number
            yield turned(frame.to_ndarray(format="rgb24"), getattr(frame, "rotation", 0)), time


def turned(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Turn pixels (H, W, 3) counterclockwise by the rotation in a file, to the nearest right angle."""
    return np.ascontiguousarray(np.rot90(pixels, round(degrees / 90) % 4))


def of_frames(folder: Path, files: Sequence[Path], rate: float) -> Clip:
    """Return images, in their order, as a clip of `rate` frames per second.

    Raises UserError if the rate is not above 0.
    """
    if not 0 < rate < float("inf"):
        raise UserError(f"fps={rate}: give a number of frames per second above 0")
    require()
    exact = Fraction(rate).limit_denominator(1001)

    def frames() -> Iterator[Frame]:
        for number, file in enumerate(files):
            yield file, number

    return Clip(folder, exact, 1 / exact, len(files), frames)


def read(frame: Source, info: Info, max_pixels: int) -> Stored:
    """Return a frame as the training that `info` describes read its images. Raises UserError if that fails."""
    if isinstance(frame, Path):
        return read_as_trained(frame, info, max_pixels)
    return Stored(from_array(frame, info.reads, white_in(info), "the video"))


def chosen(settings: Any, source: Path, files: Sequence[Path]) -> tuple[Clip, str]:
    """Return the clip that the settings of densepred-predict name, and the name of its results.

    Raises UserError for settings that have no meaning for frames.
    """
    idle = {"latents": settings.latents, "coco_ids": settings.coco_ids, "split": settings.split}
    if not settings.overlay and not settings.frames:
        raise UserError("overlay=false: a video of overlays is all that is written; type frames=true for files instead")
    if used := [key for key, value in idle.items() if value]:
        raise UserError(f"{used[0]}={getattr(settings, used[0])}: is for images, not for a video; leave it out")
    if settings.boxes is not None and Path(settings.boxes).suffix.lower() == ".json":
        raise UserError(f"boxes={settings.boxes}: frames have no names in it; give the run of a detector")
    if (settings.probabilities or settings.uncertainty) and not settings.frames:
        raise UserError("probabilities and uncertainty are files of single frames; type frames=true, or leave them out")
    if not is_video(source):
        return of_frames(source, files, settings.fps), source.resolve().name
    if settings.fps is not None:
        raise UserError(f"fps={settings.fps}: the video {source} has its own rate; leave fps out")
    return open_clip(source, settings.max_pixels), source.stem


def write(clip: Clip, output: Path, read: Read, picture: Picture) -> int:
    """Write `picture` of every frame as H.264 in MP4, of the size and at the time of the frame; return their number.

    `read` returns a frame of the clip as an image. The file is complete or absent. Raises UserError if there is no
    frame, or one of another size.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    done = 0

    def encode(temporary: Path) -> None:
        nonlocal done
        done = _encode(clip, temporary, read, picture)

    with _explained(f"{output}: cannot be written as a video", "choose another output"):
        atomic.replace(output, encode)
    _tell_cut(clip, done)
    return done


def visit(clip: Clip, read: Read, each: Callable[[int, Stored], object]) -> int:
    """Call `each` with every frame of the clip, and write no video; return their number.

    Raises UserError if there is no frame.
    """
    done = 0
    with ProgressBar("predicting", clip.count, "frame") as bar:
        for frame, _ in clip.frames():
            each(done, read(frame))
            done += 1
            bar.update()
    if not done:
        raise UserError(f"input={clip.source}: {NO_FRAME}")
    _tell_cut(clip, done)
    return done


def _tell_cut(clip: Clip, done: int) -> None:
    """Tell if fewer frames were read than the file states."""
    if clip.count is not None and done < clip.count:
        text = f"input={clip.source}: {done} of {clip.count} frames could be read; the file may be cut"
        warnings.warn(text, Notice, stacklevel=3)


def _encode(clip: Clip, path: Path, read: Read, picture: Picture) -> int:
    av = require()
    done, size, stream = 0, (0, 0), None
    bar = ProgressBar("predicting", clip.count, "frame")
    with bar, av.open(str(path), "w", format="mp4") as container:
        for frame, time in clip.frames():
            stored = read(frame)
            height, width = stored.image.shape[-2:]
            if stream is None:
                size = (height, width)
                stream = _stream(container, clip, size)
            if (height, width) != size:
                have, want = f"{width} x {height}", f"{size[1]} x {size[0]}"
                text = f"input={clip.source}: frame {done + 1} has {have} pixels, the first {want}; make them equal"
                raise UserError(text)
            same = picture(done, stored).resize((width, height), Image.Resampling.LANCZOS)
            drawn = av.VideoFrame.from_image(same)
            drawn.pts, drawn.time_base = time, clip.unit
            container.mux(stream.encode(drawn))
            done += 1
            bar.update()
        if stream is None:
            raise UserError(f"input={clip.source}: {NO_FRAME}")
        container.mux(stream.encode())
    return done


def _stream(container: Any, clip: Clip, size: tuple[int, int]) -> Any:
    """Add the stream of pictures; colours are halved (4:2:0) for even sizes alone."""
    odd = any(side % 2 for side in size)
    if odd:
        what = f"{clip.source}: {size[1]} x {size[0]} is an odd size"
        text = f"{what}, written as H.264 4:4:4, which some players do not show"
        warnings.warn(text, Notice, stacklevel=2)
    stream = container.add_stream("libx264", rate=clip.rate, options=QUALITY)
    stream.width, stream.height = size[1], size[0]
    stream.pix_fmt = "yuv444p" if odd else "yuv420p"
    stream.codec_context.time_base = clip.unit
    return stream


def overlay(pixels: Tensor, found: Annotation, info: Info, threshold: float) -> Image.Image:
    """Draw a prediction over its frame (C, H, W), or the reconstruction; small frames may come out enlarged."""
    drawn = maps.rgb(found.image.cpu()) if found.image is not None else draw(pixels, found, info, threshold)
    return Image.fromarray(drawn.permute(1, 2, 0).contiguous().cpu().numpy())


def _readable(path: Path) -> AbstractContextManager[None]:
    return _explained(f"input={path}: cannot be read as a video", "convert it to MP4")


@contextmanager
def _explained(fact: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except require().error.FFmpegError as error:
        raise UserError(f"{fact} ({error.strerror}); {remedy}") from error
