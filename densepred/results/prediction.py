"""A prediction in a notebook: the annotation of an image, and its picture."""

from __future__ import annotations

import io
import os
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageShow
from torch import Tensor

from densepred.draw import maps
from densepred.draw.comparison import class_legend, draw
from densepred.draw.panel import with_legend
from densepred.errors import Notice, UserError
from densepred.home import expand
from densepred.rundir.console import in_notebook
from densepred.types import Annotation, Info


@dataclass(frozen=True, eq=False)
class Prediction:
    """The annotation that a model predicts for one image. Its fields, such as `semantic`, are attributes too.

    image: (C, H, W), the pixels as the model read them
    threshold: boxes and joints with less confidence are left out of pictures
    """

    image: Tensor
    annotation: Annotation
    info: Info
    threshold: float = 0.3

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(self.annotation, name):
            raise AttributeError(f"{name}: neither a prediction nor its annotation has it")
        return getattr(self.annotation, name)

    def picture(self) -> Image.Image:
        """Return the prediction drawn over the image, or the reconstruction."""
        found = self.annotation
        drawn = maps.rgb(found.image.cpu()) if found.image is not None else self._drawn()
        return Image.fromarray(drawn.permute(1, 2, 0).contiguous().cpu().numpy())

    def _drawn(self) -> Tensor:
        picture = draw(self.image, self.annotation, self.info, self.threshold)
        return with_legend(picture, class_legend(self.annotation, self.info))

    def show(self) -> None:
        """Show the picture: below the cell of a notebook, elsewhere in the viewer of the machine."""
        if in_notebook():
            sys.modules["IPython"].display.display(self.picture())  # pyright: ignore[reportAttributeAccessIssue]
        elif not _has_screen() or not ImageShow.show(self.picture()):
            text = "show: this machine has no viewer of images; call save('prediction.png')"
            warnings.warn(text, Notice, stacklevel=2)

    def save(self, path: str | Path) -> None:
        """Write the picture; the suffix chooses the format. Raises UserError if there is no such format."""
        place = expand(path)
        if place.suffix.lower() not in Image.registered_extensions():
            raise UserError(f"{place}: no image format has this suffix; give NAME.png")
        self.picture().save(place)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.picture().save(file, "PNG")
        return file.getvalue()

    def __repr__(self) -> str:
        found = self.annotation
        return f"Prediction({found.size[0]} x {found.size[1]}: {', '.join(sorted(found.filled() - {'size'}))})"


def _has_screen() -> bool:
    return not sys.platform.startswith("linux") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
