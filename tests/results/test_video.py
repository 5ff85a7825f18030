"""Videos of overlays: size, rate and length of the source, one frame in memory, one line for what cannot be read."""

from __future__ import annotations

import warnings
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from densepred import predict, predictor
from densepred.dataset.image import Stored
from densepred.errors import Notice, UserError
from densepred.results import video
from densepred.types import Annotation, Info
from tests import running
from tests.conftest import composed

av = pytest.importorskip("av")


def clip(path: Path, times: list[int], size: tuple[int, int] = (48, 64), sound: bool = False) -> Path:
    """Write grey frames, each 20 brighter than the one before, at these times in 1/25 s, by PyAV alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], "yuv444p"
        stream.codec_context.time_base = Fraction(1, 25)
        audio = container.add_stream("aac", rate=8000, layout="mono") if sound else None
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 20 * number + 20, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate, silence.pts = 8000, 0
            container.mux(audio.encode(silence))
            container.mux(audio.encode())
    return path


def frames(path: Path) -> tuple[list[float], list[np.ndarray]]:
    """Return the times in seconds and the pixels of all frames."""
    with av.open(str(path)) as container:
        found = list(container.decode(video=0))
    return [float(frame.pts * frame.time_base) for frame in found], [
        frame.to_ndarray(format="rgb24") for frame in found
    ]


def same(index: int, frame: Stored) -> Image.Image:
    return Image.fromarray(frame.image.permute(1, 2, 0).numpy())


def copy(source: video.Clip, output: Path) -> int:
    """Write a clip as it is; return the number of frames."""
    return video.write(source, output, partial(video.read, info=Info(), max_pixels=10**6), same)


@pytest.mark.parametrize(("size", "times"), [((48, 64), [0, 1, 2, 3]), ((37, 53), [0, 1, 4, 9])])
def test_the_copy_has_the_size_the_times_and_the_pixels_of_its_source(
    tmp_path: Path, size: tuple[int, int], times: list[int]
) -> None:
    source = clip(tmp_path / "in.mp4", times, size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)  # an odd size
        assert copy(video.open_clip(source, 10**6), tmp_path / "out.mp4") == len(times)
    want, have = frames(source), frames(tmp_path / "out.mp4")
    assert have[0] == pytest.approx(want[0], abs=1e-3)
    assert have[0] == pytest.approx([time / 25 for time in times], abs=1e-3)
    for one, other in zip(want[1], have[1], strict=True):
        assert other.shape == (*size, 3)
        assert np.abs(one.astype(int) - other).max() <= 4


def test_one_frame_is_read_ahead_at_most(tmp_path: Path) -> None:
    read: list[int] = []

    def source() -> Any:
        for number in range(6):
            read.append(number)
            yield np.zeros((16, 16, 3), np.uint8), number

    def picture(index: int, frame: Stored) -> Image.Image:
        assert len(read) == index + 1
        return same(index, frame)

    made = video.Clip(tmp_path, Fraction(25), Fraction(1, 25), 6, source)
    reading = partial(video.read, info=Info(), max_pixels=10**6)
    assert video.write(made, tmp_path / "out.mp4", reading, picture) == 6


def test_frames_are_turned_as_a_player_shows_them() -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3, 1).repeat(3, 2)
    assert video.turned(pixels, -90.0)[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]  # clockwise
    assert video.turned(pixels, 180.0)[..., 0].tolist() == [[5, 4, 3], [2, 1, 0]]


def test_files_that_are_no_videos_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(UserError, match=r"empty\.mp4: the file is empty; give a video"):
        video.open_clip(tmp_path / "empty.mp4", 10**6)
    whole = clip(tmp_path / "a.mp4", [0, 1, 2])
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:400])
    with pytest.raises(UserError, match=r"cut\.mp4: cannot be read as a video \(.+\); convert it to MP4"):
        video.open_clip(tmp_path / "cut.mp4", 10**6)
    with pytest.raises(UserError, match=r"a\.mp4: 64 x 48 pixels, more than max_pixels=100"):
        video.open_clip(whole, 100)
    with pytest.warns(Notice, match="1 other streams, such as sound, are not copied"):
        video.open_clip(clip(tmp_path / "s.mp4", [0], sound=True), 10**6)
    none = video.Clip(tmp_path, Fraction(25), Fraction(1, 25), None, lambda: iter(()))
    with pytest.raises(UserError, match="no frame could be read"):
        copy(none, tmp_path / "none.mp4")
    assert not (tmp_path / "none.mp4").exists()
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(UserError, match=r"PyAV is not installed; type pip install 'densepred\[video\]'"):
        video.open_clip(whole, 10**6)


@pytest.mark.parametrize("trained", [{"max_value": 4095}, {"window": (500.0, 1000.0)}, {"exif": "stored"}])
def test_frames_of_a_folder_are_read_as_the_images_of_training(tmp_path: Path, trained: dict[str, Any]) -> None:
    values = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a right angle
    Image.fromarray(values).save(tmp_path / "a.png", exif=exif)
    info = Info(channels=1, mean=(0.5,), std=(0.2,), **trained)
    ((frame, _),) = video.of_frames(tmp_path, [tmp_path / "a.png"], 25).frames()
    scaled = values / 4095 if "max_value" in trained else values / (1000 if "window" in trained else 65535)
    want = scaled if "exif" in trained else np.rot90(scaled, -1)
    np.testing.assert_allclose(video.read(frame, info, 10**6).image[0].numpy(), want, rtol=1e-6)


def test_bands_of_the_run_are_picked_from_frames_or_refused(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for frame in (pixels, tmp_path / "a.png"):
        found = video.read(frame, Info(bands=(3, 2, 1)), 10**6).image
        assert found.permute(1, 2, 0).tolist() == pixels[..., ::-1].tolist()
        with pytest.raises(UserError, match=r"has 3 bands, dataset\.channels asks for \[4, 3, 2\]"):
            video.read(frame, Info(bands=(4, 3, 2)), 10**6)


def test_a_cut_source_is_a_notice(tmp_path: Path) -> None:
    made = video.Clip(tmp_path, Fraction(25), Fraction(1, 25), 9, lambda: iter([(np.zeros((16, 16, 3), np.uint8), 0)]))
    with pytest.warns(Notice, match="1 of 9 frames could be read; the file may be cut"):
        assert copy(made, tmp_path / "out.mp4") == 1


def test_settings_without_meaning_for_frames_are_refused(tmp_path: Path) -> None:
    plain = {"latents": False, "coco_ids": None, "split": None, "overlay": True, "frames": False, "boxes": None}
    plain |= {"probabilities": False, "uncertainty": False, "fps": 0.0, "max_pixels": 10**6}
    for key, value, text in [
        ("latents", True, "latents=True: is for images"),
        ("boxes", "a.json", r"boxes=a\.json: frames have no names"),
        ("probabilities", True, "type frames=true"),
        ("overlay", False, "type frames=true"),
        ("fps", 0.0, "fps=0.0: give a number of frames per second above 0"),
    ]:
        with pytest.raises(UserError, match=text):
            video.chosen(SimpleNamespace(**{**plain, key: value}), tmp_path, [])


def test_frames_without_overlays_make_no_video(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = clip(tmp_path / "a.mp4", [0, 1, 2]), tmp_path / "out"
    words = (f"ckpt={run}", f"output={out}", f"input={source}", "frames=true", "overlay=false")
    assert predict.predict(composed(*words, name="predict")) == 0
    assert f"3 frames predicted: {out}/labels/" in capsys.readouterr().out
    assert len(list((out / "labels/a").iterdir())) == 3
    assert not list(out.glob("*.mp4"))
    empty = video.Clip(tmp_path, Fraction(25), Fraction(1, 25), None, lambda: iter([]))
    with pytest.raises(UserError, match="no frame could be read"):
        video.visit(empty, lambda frame: frame, same)


def test_a_threshold_acts_on_the_overlays_of_frames_without_files(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clip(tmp_path / "a.mp4", [0, 1])
    words = (f"ckpt={run}", f"output={tmp_path / 'out'}", f"input={source}", "threshold=0.1")
    with pytest.warns(Notice, match=r"threshold=0\.1: has no effect: this model predicts nothing with a score"):
        predict.predict(composed(*words, name="predict"))
    boxes = {"boxes": torch.tensor([[0.0, 0, 9, 9]]), "categories": torch.tensor([1]), "scores": torch.tensor([0.2])}
    monkeypatch.setattr(predictor.Predictor, "__call__", lambda *_, **__: Annotation((48, 64), **boxes))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        predict.predict(composed(*words, "overwrite=true", name="predict"))
    assert not [text for one in told if "no effect" in (text := str(one.message))]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    assert running.train(folder, "trainer.max_steps=1", "encoder.widths=[2,4]") == 0
    return folder


def test_the_command_predicts_a_video_and_a_folder_of_frames(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = clip(tmp_path / "a.mp4", [0, 1, 2])
    words = (f"ckpt={run}", f"output={tmp_path / 'out'}")
    assert predict.predict(composed(f"input={source}", "frames=true", *words, name="predict")) == 0
    assert "3 frames predicted" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out/labels/a").iterdir()) == [f"00000{i}.png" for i in (1, 2, 3)]
    assert frames(tmp_path / "out/a.mp4")[1][0].shape == (48, 64, 3)
    (tmp_path / "walk").mkdir()
    for number, pixels in enumerate(frames(source)[1]):
        Image.fromarray(pixels).save(tmp_path / f"walk/{number}.png")
    words = (f"ckpt={run}", f"output={tmp_path / 'other'}", f"input={tmp_path / 'walk'}", "fps=12.5")
    assert predict.predict(composed(*words, name="predict")) == 0
    assert sorted(path.name for path in (tmp_path / "other").iterdir()) == ["classes.json", "predict.json", "walk.mp4"]
    times, pixels = frames(tmp_path / "other/walk.mp4")
    assert times == pytest.approx([0, 0.08, 0.16], abs=1e-3)
    first = frames(tmp_path / "out/a.mp4")[1][0].astype(int)
    assert np.abs(first - pixels[0]).mean() < 3  # the same overlay, encoded twice
