"""Published weights as a checkpoint: `ckpt=torchvision:deeplabv3_resnet50` works before any training."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from densepred.cli import command
from densepred.cli.typed import Typed
from densepred.errors import Notice, UserError, suggest
from densepred.hub import zoo

if TYPE_CHECKING:
    from pathlib import Path

    from densepred.types import Info

HUB = "hf:"
"""Begins the name of a repository of Hugging Face, in which a user of densepred may keep weights."""


def checkpoint(name: str) -> str:
    """Return the path of a described file of the published weights `name`; any other text is returned as it is.

    The file is written once, into the folder of torch's hub, from the download that is verified at each call.
    Raises UserError if the table does not say which model and classes the weights have.
    """
    if not zoo.is_name(name):
        return name
    if name.startswith(HUB) and name not in zoo.entries():
        return str(described(name))
    known = [entry.name for entry in zoo.entries().values() if entry.classes is not None]
    if name not in known:
        raise UserError(f"ckpt={name}: not in the table of published models; {suggest(name, known)}")
    entry = zoo.entries()[name]
    tell(entry)
    from densepred.build.instantiate import build
    from densepred.hub import published
    from densepred.settings import WeightsSettings
    from densepred.weights import file, header, pretrained

    nodes = composed(entry)
    info = description(entry)
    task = build(nodes["task"], None, "task", info=info)
    model = build(nodes["model"], None, "model", **file.model_arguments(task, info))
    try:
        pretrained.load(model, WeightsSettings(model=name), task.heads, lambda _: None)
    except UserError as error:
        raise UserError(f"ckpt={name}: {error}") from error
    path = published.folder() / f"{name.replace(':', '--').replace('/', '--')}.densepred{header.SUFFIX}"
    description_ = {
        "model": nodes["model"],
        "task": nodes["task"],
        "info": info.to_json(),
        "transform": nodes["transform"]["valid"],
    }
    file.save_weights(path, model.state_dict(), description_)
    return str(path)


def described(name: str) -> Path:
    """Return the file of densepred in a repository of Hugging Face, downloaded once and verified at each call.

    It is read as any file that is not trusted: tensors and JSON. Raises UserError if it is of another program.
    """
    from densepred.hub import published
    from densepred.weights import header

    path = published.file_of(zoo.repository(name), published.FILES[:1], otherwise="check the name")
    if not header.has_description(path):
        raise UserError(
            f"ckpt={name}: not weights that densepred wrote; give others to densepred-train by weights.init={name}"
        )
    return path


def tell(entry: zoo.Entry) -> None:
    """Tell the licence, the score and the size of training images of published weights."""
    facts = [f"licence {entry.licence}"]
    facts += [f"published {entry.score} ({entry.source})"] if entry.score else []
    facts += [f"trained at {entry.size} pixels"] if entry.size else []
    warnings.warn(f"{entry.name}: {'; '.join(facts)}", Notice, stacklevel=3)


def composed(entry: zoo.Entry) -> dict[str, Any]:
    """Return the nodes of the model and its task, with interpolations resolved."""
    typed = Typed("train", command.configs(), ())
    found = typed.compose([*entry.options, "task=semantic", "dataset=shapes", "metric=confusion"])
    assert found is not None, entry
    config = OmegaConf.create(found)
    nodes = {key: OmegaConf.to_container(config[key], resolve=True) for key in ("model", "task", "transform")}
    return {key: _untrained(node) for key, node in nodes.items()}


def _untrained(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: False if key == "pretrained" else _untrained(value) for key, value in node.items()}
    return [_untrained(value) for value in node] if isinstance(node, list) else node


def description(entry: zoo.Entry) -> Info:
    """Return the dataset of published weights: its classes, colours and statistics."""
    from densepred.dataset.palette import voc_palette
    from densepred.dataset.voc import CLASSES
    from densepred.hub import ade20k
    from densepred.types import Info

    if isinstance(entry.classes, str):
        names = {"voc": CLASSES, "ade20k": ade20k.CLASSES}[entry.classes]
    else:
        assert isinstance(entry.classes, int)
        names = tuple(f"class {index}" for index in range(entry.classes))
        text = f"{entry.name}: names of its {entry.classes} classes are not known here; they are class 0 and so on"
        warnings.warn(text, Notice, stacklevel=3)
    return Info(classes=names, palette=voc_palette(len(names)), mean=entry.mean, std=entry.std)
