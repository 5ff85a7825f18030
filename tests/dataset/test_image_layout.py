"""Images that are built to take minutes or gigabytes, and masks with values that a decoder would change."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from densepred.dataset import image_layout
from densepred.dataset.image import read_image
from densepred.dataset.image_header import read_header
from densepred.dataset.mask import read_mask
from densepred.types import UserError

VALUES = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)


def encoded(form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(VALUES).save(file, form, **options)
    return file.getvalue()


def with_segments(count: int, size: int = 65533) -> bytes:
    segment = b"\xff\xe5" + struct.pack(">H", size + 2) + bytes(size)
    plain = encoded("JPEG")
    return plain[:2] + segment * count + plain[2:]


def with_chunks(count: int) -> bytes:
    body = b"vpAg" + bytes(200)
    chunk = struct.pack(">I", 200) + body + struct.pack(">I", zlib.crc32(body))
    plain = encoded("PNG")
    return plain[:33] + chunk * count + plain[33:]


def gif_with_comments(blocks: int) -> bytes:
    plain = encoded("GIF")
    start = 13 + 3 * 2 ** ((plain[10] & 7) + 1)
    return plain[:start] + b"!\xfe" + (b"\xff" + bytes(255)) * blocks + b"\0" + plain[start:]


def bomb(entries: int, size: int) -> bytes:
    """Return the directory of a TIFF with entries that all point to the same bytes."""
    rows = b"".join(struct.pack("<HHII", (40_000 + i) % 2**16, 7, size, 0) for i in range(entries))
    return b"II*\0" + struct.pack("<IH", 8, entries) + rows + struct.pack("<I", 0) + bytes(size)


def exif_bomb() -> bytes:
    return b"Exif\0\0" + bomb(4000, 12_000)


FILES: dict[str, tuple[str, bytes]] = {
    "a comment of 20 MB": ("a.ppm", b"P6\n#" + b"x" * 20_000_000 + b"\n10 12\n255\n" + bytes(360)),
    "a million comments": ("a.ppm", b"P6\n" + b"#\n" * 1_000_000 + b"10 12\n255\n" + bytes(360)),
    "1000 segments of 64 KB": ("a.jpg", with_segments(1000)),
    "4000 segments": ("a.jpg", with_segments(4000, 300)),
    "30,000 chunks": ("a.png", with_chunks(30_000)),
    "a comment of 10 MB in a GIF": ("a.gif", gif_with_comments(40_000)),
    "a directory of 4 GB in 1 MB": ("a.tif", bomb(4000, 1_000_000)),
    "65,000 entries": ("a.tif", bomb(65_000, 4)),
    "EXIF of 48 MB in 60 KB": ("a.jpg", encoded("JPEG", exif=exif_bomb())),
}


@pytest.mark.parametrize("name", FILES)
def test_files_built_to_be_slow_or_large_are_refused_at_once(tmp_path: Path, name: str) -> None:
    file, content = FILES[name]
    (tmp_path / file).write_bytes(content)
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for read in (read_image, read_mask, read_header):
        with pytest.raises(UserError, match=rf"{file}: "):
            read(tmp_path / file)
    assert time.process_time() - begin < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 * 1024


def test_usual_files_with_many_parts_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6\n# by a program\n10 12\n# of 8 bits\n255\n" + VALUES.tobytes())
    assert (read_image(tmp_path / "a.ppm").permute(1, 2, 0).numpy() == VALUES).all()
    for name, content in (
        ("a.jpg", with_segments(100)),
        ("b.jpg", encoded("JPEG", exif=Image.Exif())),
        ("a.png", with_chunks(2000)),
        ("a.gif", gif_with_comments(100)),
    ):
        (tmp_path / name).write_bytes(content)
        assert read_image(tmp_path / name).shape == (3, 12, 10)
    pages = [Image.fromarray(VALUES[..., 0]) for _ in range(40)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert read_image(tmp_path / "a.tif").shape == (40, 12, 10)


def test_frames_of_a_gif_are_not_counted(tmp_path: Path) -> None:
    """A mask of several frames is refused; an image is the first of them, whatever their number."""
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (90, 200)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    content = file.getvalue()
    second = content[content.rindex(b"!\xf9") : -1]
    (tmp_path / "a.gif").write_bytes(content[:-1] + second * 100_000 + b";")
    begin = time.process_time()
    assert (read_image(tmp_path / "a.gif") == 90).all()
    with pytest.raises(UserError, match="several frames"):
        read_mask(tmp_path / "a.gif")
    assert read_header(tmp_path / "a.gif").size == (8, 8)
    assert time.process_time() - begin < 2


def test_signed_bytes_are_refused(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[339] = 2
    Image.fromarray(VALUES[..., 0]).save(tmp_path / "a.tif", tiffinfo=tags)
    with Image.open(tmp_path / "a.tif") as image:
        assert vars(image)["tag_v2"][339] in (2, (2,))
    for read in (read_image, read_mask):
        with pytest.raises(UserError, match=r"a\.tif: holds signed integers of 8 bits"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_masks_of_lossy_webp_are_refused_and_lossless_ones_read(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(VALUES).convert(mode)
    image.save(tmp_path / "lossy.webp")
    image.save(tmp_path / "whole.webp", lossless=True)
    with pytest.raises(UserError, match=r"lossy\.webp: is a lossy WebP"):
        read_mask(tmp_path / "lossy.webp")
    assert (read_mask(tmp_path / "whole.webp") == VALUES).all()
    assert read_image(tmp_path / "lossy.webp").shape == (3, 12, 10)
    assert image_layout.is_lossless_webp(tmp_path / "whole.webp")


@pytest.mark.parametrize(
    ("shape", "kind", "fits"),
    [
        ((100, 100, 3), np.uint8, True),
        ((100, 100, 4), np.uint8, False),
        ((100, 100), np.float32, False),
        ((100, 75), np.float32, True),
        ((10, 10, 300), np.uint8, True),
        ((10, 10, 301), np.uint8, False),
    ],
)
def test_max_pixels_counts_the_bytes_that_are_allocated(
    tmp_path: Path, shape: tuple[int, ...], kind: type, fits: bool
) -> None:
    """10,000 pixels in colour are 30,000 bytes."""
    np.save(tmp_path / "a.npy", np.zeros(shape, kind))
    if fits:
        read_header(tmp_path / "a.npy", 10_000)
    else:
        with pytest.raises(UserError, match=r"a\.npy: .*max_pixels"):
            read_header(tmp_path / "a.npy", 10_000)
