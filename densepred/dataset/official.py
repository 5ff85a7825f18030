"""Images and class masks in the tree of a published dataset."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from densepred.contracts import Dataset
from densepred.dataset import layouts, paths
from densepred.dataset.division import FOLDED, divide
from densepred.dataset.image_header import describe_files
from densepred.dataset.labels import Labels
from densepred.dataset.pairs import Pair
from densepred.dataset.palette import Colour
from densepred.dataset.reader import Reader
from densepred.errors import UserError, shown
from densepred.types import Info, Sample


class OfficialPairs(Dataset):
    """Images with a file of labels each; a subclass finds the pairs of a split."""

    pairs: list[Pair]

    def __len__(self) -> int:
        return len(self.pairs)

    def files(self) -> Sequence[Path]:
        return [pair.image for pair in self.pairs]


class OfficialMasks(OfficialPairs):
    """A subclass finds the pairs of a split and calls `_open`. Masks lie as the pixels of the image files do."""

    def _open(
        self,
        pairs: list[Pair],
        labels: Labels,
        palette: tuple[Colour, ...],
        max_pixels: int,
        max_value: int | None = None,
    ) -> None:
        self.pairs = pairs
        self.info = Info(classes=labels.classes, palette=palette, max_value=max_value, exif="stored")
        self._read = Reader(labels, 3, max_pixels, "stored", max_value)

    def images_line(self) -> str:
        return describe_files(self.files(), self.info, self._read.max_pixels)

    def __getitem__(self, index: int) -> Sample:
        return self._read(self.pairs[index])


@contextmanager
def recognised(root: Path, option: str) -> Iterator[None]:
    """Give an error about files that are not there the words for the layout that is, if it is known."""
    try:
        yield
    except paths.Absent as error:
        raise layouts.explained(error, root, option) from error


def there(place: Path, remedy: str) -> Path:
    """Return the file or folder, or raise Absent with the remedy if there is none."""
    if not place.exists():
        raise paths.Absent(f"{place}: is missing; {remedy}")
    return place


def missing_list(path: Path, split: str) -> paths.Absent:
    """Return the error for a list that is not there. It names the lists beside it, except VOC's of single classes."""
    names = sorted(file.stem for file in path.parent.glob("*.txt"))
    whole = [name for name in names if not any(name.endswith(f"_{other}") for other in names)]
    if not whole:
        return paths.Absent(f"{path}: is missing; set dataset.root to the folder VOC2012, which holds ImageSets")
    others = [name for name in whole if not name.startswith("train")]
    remedy = f"type dataset.splits.{split}={others[0]}" if others else "write it, one name a line"
    return paths.Unlisted(f"{path}: is missing, but there are {', '.join(whole[:5])}; {remedy}")


def complete(pairs: list[Pair], where: str) -> list[Pair]:
    """Return the pairs, or raise UserError if there are none, or if files of them are missing.

    where: the file or folder that names the pairs
    """
    if not pairs:
        raise UserError(f"{where}: names no images; download it again")
    files = [file for pair in pairs for file in (pair.image, pair.mask) if file is not None]
    missing = [file for file in files if not os.path.isfile(file)]
    if missing:
        text = f"{len(missing)} of the {len(files)} files that it names are missing, such as {missing[0]}"
        raise UserError(f"{where}: {text}; download them again")
    return pairs


def held_out(pairs: list[Pair], splits: Mapping[str, object], split: str, fraction: float, seed: int) -> list[Pair]:
    """Return the pairs of a split. If training and validation have one name, a fraction of its pairs is validation.

    They are drawn by a hash of `seed` and name. Raises UserError if the fraction is not between 0 and 1.
    """
    word = paths.split_word(split)
    if word not in FOLDED or splits.get("train") != splits.get("valid"):
        return pairs
    parts = {"train": 1 - fraction, "valid": fraction}
    places = divide([pair.id for pair in pairs], parts, seed, key="dataset.held_out")
    return [pair for pair, place in zip(pairs, places, strict=True) if place == word]


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is neither blank nor a comment. Raises UserError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); download it again") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def listed(path: Path, images: Path, masks: Path, extension: str = ".png") -> list[Pair]:
    """Return the pair that each line of a list names by its first word, .jpg and `extension`. Raises UserError."""
    pairs, seen = list[Pair](), dict[str, int]()
    for number, line in lines(path):
        id, where = line.split()[0], f"{path}: line {number}"
        if seen.setdefault(id, number) != number:
            raise UserError(f"{where}: names {shown(id)} again, as line {seen[id]} does; remove one of them")
        image = paths.inside(images, f"{id}.jpg", where)
        pairs.append(Pair(id, image, paths.inside(masks, f"{id}{extension}", where)))
    return complete(pairs, str(path))
