"""The Oxford-IIIT Pet dataset: cats and dogs of 37 breeds with trimaps, in its official tree.

Source: https://www.robots.ox.ac.uk/~vgg/data/pets/
"""

from __future__ import annotations

from collections.abc import Mapping

from densepred.dataset import official, paths
from densepred.dataset.class_tables import OXFORD_PETS
from densepred.dataset.image_file import MAX_PIXELS
from densepred.dataset.labels import Labels
from densepred.dataset.pairs import Pair
from densepred.dataset.palette import default_palette
from densepred.errors import UserError, shown
from densepred.nn import choose
from densepred.types import VOID, Sample

TARGETS = {
    "foreground": ("background", "pet"),
    "species": ("background", "cat", "dog"),
    "breed": ("background", *OXFORD_PETS),
    "trimap": ("pet", "background", "border"),
}
NUMBERED = {str(index): name for index, name in enumerate(OXFORD_PETS, 1)}
SPLITS = {"train": "trainval", "valid": "trainval", "test": "test"}


class OxfordPets(official.OfficialMasks):
    """`splits` names lists in annotations.

    In a trimap 1 is the pet, 2 the background and 3 the border, which is not classified: void, but a class of the
    target `trimap`. If training and validation name one list, its fraction `held_out`, drawn by a hash of `seed` and
    name, is for validation.
    """

    def __init__(
        self,
        root: str,
        split: str = "train",
        splits: Mapping[str, str] | None = None,
        target: str = "foreground",
        held_out: float = 0.1,
        seed: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        choose("dataset.target", target, tuple(TARGETS))
        self._target, self._root = target, paths.dataset_root(root)
        rows = self._rows(paths.name_of_split(splits, SPLITS, split))
        pairs = official.held_out(list(rows), paths.known_splits(splits, SPLITS), split, held_out, seed)
        classes = TARGETS[target]
        ids = {1: 0, 2: 1, 3: 2} if target == "trimap" else {1: 1, 2: 0, 3: VOID}
        self._kinds = [rows[pair] for pair in pairs]
        self._open(pairs, Labels(classes, ids), default_palette(len(classes)), max_pixels)

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        labels = sample.truth.need("semantic")
        labels[labels == 1] = self._kinds[index]
        return sample

    def _rows(self, name: str) -> dict[Pair, int]:
        """Return the pairs of a list, each with the class of its pet."""
        remedy = "set dataset.root to the folder that holds images and annotations"
        with official.recognised(self._root, "oxford_pets"):
            path = official.there(self._root / "annotations" / f"{name}.txt", remedy)
            masks = official.there(self._root / "annotations/trimaps", remedy)
        pairs = official.listed(path, self._root / "images", masks)
        kinds = [self._kind(f"{path}: line {number}", line.split()) for number, line in official.lines(path)]
        return dict(zip(pairs, kinds, strict=True))

    def _kind(self, where: str, words: list[str]) -> int:
        breed, species = words[1:3] if len(words) == 4 else ("", "")
        if NUMBERED.get(breed) != words[0].rpartition("_")[0] or species not in ("1", "2"):
            form = "a name, its breed's number, 1 for a cat or 2 for a dog, and the number within the species"
            raise UserError(f"{where}: {shown(' '.join(words))} is not {form}; copy the list from the archive again")
        return {"species": int(species), "breed": int(breed)}.get(self._target, 1)
