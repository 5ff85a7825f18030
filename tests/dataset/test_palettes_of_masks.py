from __future__ import annotations

from pathlib import Path

from PIL import Image

from densepred.dataset.folder import Folder
from densepred.errors import UserError
from tests.dataset.files import mask, write


def test_which_palette_is_refused_does_not_depend_on_the_order_of_reading(tmp_path: Path) -> None:
    ids, names = mask(), [f"{number:02d}" for number in range(66)]
    for number, name in enumerate(names):  # of a step of 2: the masks of odd numbers are read for their samples alone
        (tmp_path / "masks/train").mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(ids, "P")
        image.putpalette([0, 0, 0, *([0, 9, 0, 9, 0, 0] if number % 2 else [9, 0, 0, 0, 9, 0])])
        image.save(tmp_path / f"masks/train/{name}.png")
        write(tmp_path / f"images/train/{name}.png", mask())

    def refused(data: Folder, index: int) -> bool:
        try:
            data[index]
        except UserError as error:
            return "to the id 1, that of" in str(error) and "00.png" in str(error)
        return False

    for order in (names, names[::-1]):
        data = Folder(str(tmp_path), classes=3)
        assert [name for name in order if refused(data, int(name))] == [name for name in order if int(name) % 2]
