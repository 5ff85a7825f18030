"""An XML file per image, chosen by the list of a split, as in PASCAL VOC's tree, or by a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from densepred.dataset import official, paths
from densepred.dataset.annotated import Annotated, files_below, some
from densepred.dataset.records import Records
from densepred.errors import Misfit


@dataclass(eq=False)
class ListedFiles(Annotated):
    """`lists` names the files of a split; where there is no such list, the folder `annotations` holds them."""

    annotations: str | Sequence[str] = ("Annotations", "Annotations/{split}", "{split}", "annotations/{split}")
    lists: str = "ImageSets/Main/{split}.txt"

    def list_of(self, split: str) -> Path | None:
        """Return the list of a split; None if there is none, or if fractions divide the files."""
        return None if self._divided else self.present(self.lists, split)

    def named(self, split: str) -> list[Path]:
        """Return the files that the list of a split names, or those of its folder. Raises Absent for none."""
        listed = self.list_of(split)
        patterns = [self.annotations] if isinstance(self.annotations, str) else list(self.annotations)
        if listed is None and not self._divided:
            patterns = [pattern for pattern in patterns if "{split}" in pattern] or patterns
            self._check_lists(split, patterns)
        folder = self.find(patterns, split, "annotations")
        if listed is None:
            return some(files_below(folder, ".xml"), folder, "XML file")
        lines = official.lines(listed)
        found = [paths.inside(folder, f"{line.split()[0]}.xml", f"{listed}: line {number}") for number, line in lines]
        return some(found, listed, "XML file")

    def described(self, split: str, records: Records) -> list[Path]:
        """Return the files of a split. Those that a list names and that are not there are images without labels.

        Raises Misfit for them, or counts them in `records` if `unpaired` is skip.
        """
        files = self.named(split)
        missing = [path for path in files if not path.is_file()]
        if missing and (self.unpaired != "skip" or len(missing) == len(files)):
            fact = f"{len(missing)} of the {len(files)} files that it names are missing, such as {missing[0]}"
            remedy = "add them (without an object where there is none), or leave them out by dataset.unpaired=skip"
            names = [path.stem for path in missing]
            raise Misfit(f"{self.list_of(split)}: {fact}; {remedy}", "unpaired", names=names)
        records.told["images of the list have no XML file, and are left out (dataset.unpaired=skip)"] = len(missing)
        return [path for path in files if path.is_file()]

    def _check_lists(self, split: str, patterns: Sequence[str]) -> None:
        """Raise Unlisted, with the lists that are there, if neither the list nor a folder of the split is."""
        path = paths.below(self._folder, self.lists, paths.split_names(self._splits, split)[0])
        if path.parent.is_dir() and any(path.parent.glob("*.txt")) and self.present(patterns, split) is None:
            raise official.missing_list(path, paths.split_word(split))
