"""densepred-predict: apply a checkpoint to an image or a folder of images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig
from tqdm import tqdm

from densepred import command, config
from densepred.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from densepred.predictor import Predictor
    from densepred.types import Annotation

EXAMPLES = """
densepred-predict ckpt=RUN input=IMAGE
densepred-predict ckpt=RUN input=DIR output=predictions
densepred-predict ckpt=RUN input=DIR tile=512 flip=true 'scales=[0.75,1.0,1.25]'
"""

PARTIAL = 4


def main() -> None:
    command.run(predict, "predict", EXAMPLES)


def predict(cfg: DictConfig) -> int:
    """Predict every image; 4 where some could not be read."""
    settings = config.settings(cfg)
    source, output = Path(settings.input), Path(settings.output)
    files = images(source)
    places = destinations(files, source, output)
    import torch

    from densepred import predictor

    if settings.threads:
        torch.set_num_threads(settings.threads)
    model = predictor.load(settings.ckpt, precision=settings.precision, trust=settings.trust)
    model.model.prune(settings.prune)
    failed = {}
    bar = tqdm(list(zip(files, places, strict=True)), unit="image", disable=not sys.stderr.isatty(), leave=False)
    for file, place in bar:
        try:
            one(model, file, place, output, settings)
        except UserError as error:
            failed[file] = str(error)
    for reason in failed.values():
        print(f"error: {reason}", file=sys.stderr)
    if len(failed) == len(files):
        raise UserError(f"{source}: none of {len(files)} images could be predicted; see the lines above")
    wanted = {"labels": True, "overlays": settings.overlay, "probabilities": settings.probabilities}
    wanted = {"reconstructions": True} if "image" in model.task.heads else wanted
    folders = ", ".join(f"{output}/{kind}/" for kind, asked in wanted.items() if asked)
    print(f"{len(files) - len(failed)} of {len(files)} images predicted: {folders}")
    return PARTIAL if failed else 0


def images(source: Path) -> list[Path]:
    """The image itself, or those of a folder and its folders, in order."""
    from densepred.dataset.raster import EXTENSIONS

    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UserError(f"input={source}: there is no such file or folder; check the path")
    found = sorted(
        path for path in source.rglob("*") if path.suffix.lower() in EXTENSIONS and not _hidden(path, source)
    )
    if not found:
        raise UserError(f"input={source}: no images in it (looked for {', '.join(sorted(EXTENSIONS))}); check the path")
    return found


def destinations(files: list[Path], source: Path, output: Path) -> list[Path]:
    """Where each image's results go below a folder of results, without suffix; a.jpg and a.png are kept apart."""
    folder = source if source.is_dir() else source.parent
    if source.is_dir() and output.resolve() == source.resolve():
        raise UserError(f"output={output}: is the folder of the images; choose another so that nothing is mixed up")
    names = [file.relative_to(folder) for file in files]
    stems = [name.with_suffix("") for name in names]
    return [name if stems.count(stem) > 1 else stem for name, stem in zip(names, stems, strict=True)]


def one(model: Predictor, file: Path, place: Path, output: Path, settings: Any) -> None:
    """Predict one image and write what was asked for."""
    from densepred import draw

    pixels = model.read(file, settings.max_pixels)
    found = model(
        pixels,
        tile=settings.tile,
        overlap=settings.overlap,
        blend=settings.blend,
        flip=settings.flip,
        scales=settings.scales,
        probabilities=settings.probabilities,
    )
    if found.image is not None:
        save_image(output, place, found.image.cpu())
        return
    assert found.semantic is not None
    labels = found.semantic.cpu()
    if settings.overlay:
        save_rgb(target(output, "overlays", place, ".png"), draw.overlay(pixels, labels, model.info.palette))
    if found.probabilities is not None:
        save_array(target(output, "probabilities", place, ".npy"), found.probabilities.half().cpu().numpy())
    # Last, for its presence says that the image is done.
    save_labels(target(output, "labels", place, ".png"), found, model)


def target(output: Path, kind: str, place: Path, suffix: str) -> Path:
    path = output / kind / place.parent / (place.name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def save_labels(path: Path, found: Annotation, model: Predictor) -> None:
    """A PNG whose pixels are class ids and whose palette shows the classes' colours."""
    from PIL import Image

    from densepred import disk

    assert found.semantic is not None
    image = Image.fromarray(found.semantic.cpu().numpy())
    image.putpalette([value for colour in model.info.palette for value in colour])
    disk.replace(path, lambda temporary: image.save(temporary, format="PNG"))


def save_image(output: Path, place: Path, image: Tensor) -> None:
    """Grey or colour as a PNG of 8 bits, any other number of channels as an array (H, W, C) of float32 in [0, 1]."""
    from PIL import Image

    from densepred import disk

    image = image.clamp(0, 1)
    if len(image) not in (1, 3):
        values = image.movedim(0, -1).contiguous().numpy()
        save_array(target(output, "reconstructions", place, ".npy"), values)
        return
    pixels = image.mul(255).round().byte().movedim(0, -1).contiguous().numpy()
    picture = Image.fromarray(pixels[..., 0] if len(image) == 1 else pixels)
    path = target(output, "reconstructions", place, ".png")
    disk.replace(path, lambda temporary: picture.save(temporary, format="PNG"))


def save_rgb(path: Path, picture: Tensor) -> None:
    from PIL import Image

    from densepred import disk

    image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    disk.replace(path, lambda temporary: image.save(temporary, format="PNG"))


def save_array(path: Path, values: np.ndarray) -> None:
    import numpy as np

    from densepred import disk

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, values, allow_pickle=False)

    disk.replace(path, write)


def _hidden(path: Path, source: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(source).parts)


if __name__ == "__main__":
    main()
