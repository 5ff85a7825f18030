"""Images of every mode are read to within 1e-6, or refused by name."""

from __future__ import annotations

import os
import struct
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from densepred.dataset.image import from_image, read_image
from densepred.dataset.image_file import check_file
from densepred.dataset.image_header import read_header
from densepred.dataset.mask import read_mask
from densepred.types import UserError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (37, 45), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (37, 45, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (37, 45), dtype=np.uint16)


def tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values[..., None] if values.ndim == 2 else values).permute(2, 0, 1)


def saved(path: Path, values: np.ndarray | Image.Image, **options: object) -> Path:
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.tif", "a.bmp", "a.npy", "ü b'%={},.png", "-a.png", "a\nb.png"])
def test_8_bits_come_out_as_they_are_whatever_the_name(tmp_path: Path, name: str) -> None:
    for values in (GREY, RGB):
        path = tmp_path / name
        np.save(path, values) if path.suffix == ".npy" else saved(path, values)
        assert torch.equal(read_image(path), tensor(values))
        assert read_header(path).channels == (1 if values.ndim == 2 else 3)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_16_bits_are_never_clipped(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    np.save(path, DEEP) if path.suffix == ".npy" else saved(path, DEEP)
    torch.testing.assert_close(read_image(path), tensor(DEEP.astype(np.float32) / 65535), atol=1e-6, rtol=0)


def test_16_bits_of_the_other_byte_order_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", Image.frombytes("I;16B", (45, 37), DEEP.astype(">u2").tobytes()))
    torch.testing.assert_close(read_image(path), tensor(DEEP.astype(np.float32) / 65535), atol=1e-6, rtol=0)


def png(width: int, height: int, depth: int, colour: int, data: bytes, *extra: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *extra, (b"IDAT", data), (b"IEND", b"")]
    body = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def test_16_bit_colour_is_refused_because_half_of_it_would_be_lost(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + RANDOM.bytes(45 * 6) for _ in range(37))
    path = tmp_path / "deep.png"
    path.write_bytes(png(45, 37, 16, 2, zlib.compress(rows)))
    with pytest.raises(UserError, match=r"deep\.png.*16 bits.*npy"):
        read_image(path)


def test_floats_in_0_to_1_are_read_and_others_refused(tmp_path: Path) -> None:
    values = RANDOM.random((37, 45), dtype=np.float32)
    assert torch.equal(read_image(saved(tmp_path / "a.tif", values)), tensor(values))
    for bad in (values * 300, values - 2, np.where(values > 0.5, np.nan, values)):
        with pytest.raises(UserError, match=r"b\.tif.*(0 to 1|805 of its 1665 numbers are NaN)"):
            read_image(saved(tmp_path / "b.tif", bad.astype(np.float32)))


def test_alpha_is_dropped_unless_it_is_asked_for(tmp_path: Path) -> None:
    rgba = np.concatenate((RGB, GREY[..., None]), 2)
    path = saved(tmp_path / "a.png", rgba)
    assert torch.equal(read_image(path), tensor(RGB))
    assert torch.equal(read_image(path, 4), tensor(rgba))
    la = np.stack((GREY, GREY[::-1]), 2)
    path = saved(tmp_path / "la.png", Image.fromarray(la, "LA"))
    assert torch.equal(read_image(path), tensor(GREY))
    assert torch.equal(read_image(path, 2), tensor(la))


def test_palettes_become_their_colours_and_bits_become_black_and_white(tmp_path: Path) -> None:
    image = Image.fromarray(GREY % 4, "P")
    image.putpalette([value for colour in ((1, 2, 3), (4, 5, 6), (7, 8, 9), (250, 251, 252)) for value in colour])
    expected = np.array([(1, 2, 3), (4, 5, 6), (7, 8, 9), (250, 251, 252)], np.uint8)[GREY % 4]
    assert torch.equal(read_image(saved(tmp_path / "p.png", image)), tensor(expected))
    assert torch.equal(read_image(saved(tmp_path / "t.png", image, transparency=1)), tensor(expected))
    bits = Image.fromarray(GREY > 99)
    assert torch.equal(read_image(saved(tmp_path / "b.png", bits)), tensor((GREY > 99).astype(np.uint8) * 255))


def test_pages_of_a_tiff_are_channels(tmp_path: Path) -> None:
    layers = [Image.fromarray(np.roll(GREY, i)) for i in range(6)]
    path = saved(tmp_path / "a.tif", layers[0], save_all=True, append_images=layers[1:])
    assert torch.equal(read_image(path), torch.from_numpy(np.stack([np.roll(GREY, i) for i in range(6)])))
    assert read_header(path).channels == 6


def test_arrays_have_any_number_of_channels(tmp_path: Path) -> None:
    values = RANDOM.integers(0, 256, (9, 7, 11), dtype=np.uint8)
    np.save(tmp_path / "a.npy", values)
    assert torch.equal(read_image(tmp_path / "a.npy"), tensor(values))
    assert read_header(tmp_path / "a.npy").channels == 11


def test_grey_and_colour_are_converted_on_demand(tmp_path: Path) -> None:
    assert torch.equal(read_image(saved(tmp_path / "g.png", GREY), 3), tensor(GREY).expand(3, -1, -1))
    grey = np.asarray(Image.fromarray(RGB).convert("L")).astype(int)
    found = read_image(saved(tmp_path / "c.png", RGB), 1)[0].numpy().astype(int)
    assert abs(found - grey).max() <= 1
    with pytest.raises(UserError, match=r"g\.png.*1 channels where 4"):
        read_image(tmp_path / "g.png", 4)


@pytest.mark.parametrize("kind", ["png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_as_viewers_do(tmp_path: Path, orientation: int, kind: str) -> None:
    """Pillow turns TIFF, and no other format, when it decodes it."""
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = np.array(ImageOps.exif_transpose(Image.open(saved(tmp_path / "a.png", RGB, exif=exif))))
    path = saved(tmp_path / f"a.{kind}", RGB, exif=exif)
    assert torch.equal(read_image(path), tensor(expected))
    assert torch.equal(read_image(path, upright=False), tensor(RGB))
    assert read_header(path).size == RGB.shape[:2]
    for upright, values in ((True, expected), (False, RGB)):
        with Image.open(path) as image:
            assert torch.equal(from_image(image, upright=upright), tensor(values))
    assert np.array_equal(read_mask(path), RGB)
    assert np.array_equal(read_mask(saved(tmp_path / f"m.{kind}", RGB[..., 0], exif=exif)), RGB[..., 0])


def test_what_is_no_image_is_named_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.jpg").write_text("<html>404</html>")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "text.npy").write_text("hello")
    (tmp_path / "object.npy").write_bytes(_pickled())
    names = ("empty.jpg", "page.jpg", "text.png", "folder.jpg", "pipe.jpg", "link.jpg", "gone.jpg", "text.npy")
    for name in (*names, "object.npy"):
        for read in (read_image, read_mask):
            errors: list[BaseException] = []

            def attempt(read=read, name=name, errors=errors) -> None:  # type: ignore[no-untyped-def]
                try:
                    read(tmp_path / name)
                except BaseException as error:
                    errors.append(error)

            thread = threading.Thread(target=attempt, daemon=True)
            thread.start()
            thread.join(5)
            assert not thread.is_alive(), name
            assert isinstance(errors[0], UserError), (name, errors)
            assert name in str(errors[0])
            assert "\n" not in str(errors[0])


def _pickled() -> bytes:
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return buffer.getvalue()


def test_a_jpeg_cut_anywhere_is_named(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.jpg", RGB).read_bytes()
    for index in range(50):
        path = tmp_path / "cut.jpg"
        path.write_bytes(whole[: len(whole) * index // 50])
        with pytest.raises(UserError, match=r"cut\.jpg"):
            read_image(path)


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    (tmp_path / "header.png").write_bytes(png(60000, 60000, 8, 2, b"x"))
    (tmp_path / "big.png").write_bytes(png(13378, 13378, 8, 0, b"x"))
    (tmp_path / "idat.png").write_bytes(png(100, 100, 8, 0, zlib.compress(bytes(30_000_000))))
    text = b"a\0\1\0\0\0" + zlib.compress(bytes(20_000_000))
    (tmp_path / "text.png").write_bytes(png(10, 10, 8, 0, zlib.compress(bytes(110)), (b"iTXt", text)))
    tracemalloc.start()
    start = time.process_time()
    for name in ("header.png", "big.png"):
        with pytest.raises(UserError, match=rf"{name}.*max_pixels"):
            read_image(tmp_path / name, max_pixels=10**8)
    assert (read_image(tmp_path / "idat.png") == 0).all()
    with pytest.raises(UserError, match=r"text\.png"):
        read_image(tmp_path / "text.png")
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert time.process_time() - start < 2


def test_a_tiff_that_lists_its_pages_in_a_circle_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "loop.tif", GREY)
    data = bytearray(path.read_bytes())
    start = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    path.write_bytes(data)
    before = time.process_time()
    assert read_image(path).shape == (1, 37, 45)
    assert time.process_time() - before < 2


def test_pillows_own_limit_is_left_as_it_was(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS
    read_image(saved(tmp_path / "a.png", GREY))
    assert before == Image.MAX_IMAGE_PIXELS


def test_masks_keep_their_ids(tmp_path: Path) -> None:
    palette = Image.fromarray(GREY % 4, "P")
    palette.putpalette(list(range(12)))
    assert (read_mask(saved(tmp_path / "p.png", palette)) == GREY % 4).all()
    assert (read_mask(saved(tmp_path / "t.png", palette, transparency=2)) == GREY % 4).all()
    assert (read_mask(saved(tmp_path / "g.png", GREY)) == GREY).all()
    assert (read_mask(saved(tmp_path / "d.png", DEEP)) == DEEP).all()
    assert (read_mask(saved(tmp_path / "c.png", RGB)) == RGB).all()
    bits = read_mask(saved(tmp_path / "b.png", Image.fromarray(GREY > 99)))
    assert bits.dtype == np.uint8
    assert (bits == (GREY > 99)).all()
    assert (read_mask(saved(tmp_path / "f.tif", (GREY % 5).astype(np.float32))) == GREY % 5).all()
    negative = GREY.astype(np.int32) - 5
    assert (read_mask(saved(tmp_path / "n.tif", negative)) == negative).all()
    opaque = np.stack((GREY, np.full_like(GREY, 255)), 2)
    assert (read_mask(saved(tmp_path / "la.png", Image.fromarray(opaque, "LA"))) == GREY).all()


def test_masks_that_cannot_be_trusted_are_refused(tmp_path: Path) -> None:
    for name, image, why in (
        ("a.jpg", Image.fromarray(GREY), "JPEG"),
        ("a.png", Image.fromarray(np.concatenate((RGB, GREY[..., None]), 2)), "transparent"),
        ("b.png", Image.fromarray(np.stack((GREY, GREY), 2), "LA"), "transparent"),
        ("c.png", Image.fromarray(np.stack((GREY * 0, GREY), 2), "LA"), "save its alpha channel"),
        ("a.tif", Image.fromarray(RANDOM.random((4, 4), dtype=np.float32)), "fractions"),
    ):
        with pytest.raises(UserError, match=why):
            read_mask(saved(tmp_path / name, image))


def test_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="file name too long; restore or remove it"):
        check_file(tmp_path / ("a" * 10**5))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(UserError, match=r"gone\.png: there is no such file; check the path"):
        check_file(tmp_path / "gone.png")
    with pytest.raises(UserError, match=r"link\.png: is a link that leads nowhere"):
        check_file(tmp_path / "link.png")
