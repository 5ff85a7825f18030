"""Files made to attack: each kind of file that densepred reads, with commands, paths and code where data belong."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from densepred.cli import command
from densepred.cli.inherit import inherited
from densepred.cli.typed import Typed
from densepred.dataset.image import read_image
from densepred.dataset.mask import read_mask
from densepred.hub import pickles
from densepred.weights.file import load_model, save_weights
from tests.dataset import coco_tree, folder_tree, mpii_tree
from tests.fuzz.readers import KINDS

Attack = tuple[Path, Callable[[Path], object]]
CANARY, VARIABLE = "canary", "DENSEPRED_PLANTED"
DEEP = 100_000


class Bomb:
    """A pickle of it runs a command when it is opened without care."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def touch(folder: Path) -> str:
    return f"touch {folder / CANARY}"


TARGETS = (
    "os.system",
    "subprocess.run",
    "builtins.eval",
    "builtins.exec",
    "torch.load",
    "torch.hub.load",
    "shutil.rmtree",
)
TARGETS += ("densepred.model.fcn.torch.load", "densepred.loss.ce.os.system", "hydra.utils.instantiate", "pickle.loads")
TARGETS += ("webbrowser.open", "urllib.request.urlopen", "pathlib.Path.touch", "numpy.load", "importlib.import_module")


def names(folder: Path) -> list[str]:
    """Return names of files that lead elsewhere, or are commands to a shell."""
    command = touch(folder)
    return [
        "../secret.png",
        "a/../../secret.png",
        str(folder.parent / "secret.png"),
        "/etc/passwd",
        "\\\\host\\share\\x.png",
        "C:\\x.png",
        "http://127.0.0.1:9/x.png",
        "file:///etc/passwd",
        f"|{command}",
        f"$({command})",
        f"`{command}`",
        f"; {command} #.png",
        f"${{oc.env:{VARIABLE}}}",
        f"${VARIABLE}",
        "~/x.png",
        "/dev/tcp/127.0.0.1/9",
        "/proc/self/environ",
        "x\0.png",
        "CON",
    ]


def pickled(folder: Path, chance: random.Random) -> Attack:
    content = pickle.dumps(chance.choice((Bomb(touch(folder)), {"a": Bomb(touch(folder))})), chance.randrange(6))
    suffix = chance.choice((".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".npy"))
    path = folder / f"w{suffix}"
    if chance.random() < 0.5:
        file = io.BytesIO()
        torch.save(
            {"a": torch.ones(2), "b": Bomb(touch(folder))}, file, _use_new_zipfile_serialization=chance.random() < 0.5
        )
        content = file.getvalue()
    path.write_bytes(content)
    return path, read_image if suffix == ".npy" else chance.choice((load_model, pickles.read))


def array(folder: Path, chance: random.Random) -> Attack:
    np.save(folder / "a.npy", np.array([[Bomb(touch(folder))] * 2], object), allow_pickle=True)
    return folder / "a.npy", chance.choice((read_image, read_mask))


def description(folder: Path, chance: random.Random) -> Attack:
    """Put the name of a function, an interpolation or a path anywhere in the description of a model."""
    state, about = _model()
    about = copy.deepcopy(about)
    nodes = list(_nodes({key: about[key] for key in ("model", "task", "info")}))
    node, key = chance.choice([(node, key) for node in nodes for key in node])
    command = touch(folder)
    attack = {"_target_": chance.choice(TARGETS), **dict.fromkeys(("command", "args", "path", "cmd"), command)}
    node[key] = chance.choice((attack, [attack], attack["_target_"], *names(folder)))
    if key == "_target_":
        node.update(command=command)
    save_weights(folder / "w.safetensors", state, about)
    return folder / "w.safetensors", load_model


_made: list[tuple[dict[str, Any], dict[str, Any]]] = []


def prepare(state: dict[str, Any], about: dict[str, Any]) -> None:
    """Take the weights and the description of a valid model."""
    _made[:] = [(state, about)]


def _model() -> tuple[dict[str, Any], dict[str, Any]]:
    return _made[0]


def _nodes(node: Any) -> Any:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _nodes(value)


def deep(folder: Path, chance: random.Random) -> Attack:
    """Nest JSON so deep that a parser or a printer may end the process."""
    name = chance.choice(("boxes", "coco_ids", "annotations", "mpii", "classes", "safetensors"))
    path = KINDS[name].write(folder, 0)
    begin, end = chance.choice((("[", "]"), ('{"a":', "}"), ('{"images":[', "]}"), ('{"classes":', "}")))
    text = (begin * DEEP + "1" + end * chance.choice((DEEP, 0))).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text if name == "safetensors" else text)
    return path, KINDS[name].read


def coco(folder: Path, chance: random.Random) -> Attack:
    kind = chance.choice(("instances", "person_keypoints", "panoptic"))
    coco_tree.tree(folder)
    path = folder / "annotations" / f"{kind}_train2017.json"
    data = json.loads(path.read_text())
    place = chance.choice(data["annotations"] if kind == "panoptic" and chance.random() < 0.5 else data["images"])
    place["file_name"] = chance.choice(names(folder))
    path.write_text(json.dumps(data))
    return path, KINDS["annotations"].read


def mpii(folder: Path, chance: random.Random) -> Attack:
    mpii_tree.tree(folder, "train")
    path = folder / "annot/train.json"
    data = json.loads(path.read_text())
    chance.choice(data)["image"] = chance.choice(names(folder))
    path.write_text(json.dumps(data))
    return path, KINDS["mpii"].read


def listed(folder: Path, chance: random.Random) -> Attack:
    folder_tree.tree(folder, "train")
    cells = ["images/train/a.png", "masks/train/a.png"]
    cells[chance.randrange(2)] = chance.choice(names(folder))
    (folder / "list.csv").write_text(f"image,mask,split\n{cells[0]},{cells[1]},train\n")
    return folder / "list.csv", KINDS["list"].read


def boxes(folder: Path, chance: random.Random) -> Attack:
    path = KINDS["boxes"].write(folder, 1)
    data = json.loads(path.read_text())
    chance.choice(data["images"])["file_name"] = chance.choice(names(folder))
    path.write_text(json.dumps(data))
    return path, KINDS["boxes"].read


def run(folder: Path, chance: random.Random) -> Attack:
    """Write the record of a run for `weights.init=`."""
    planted, target = touch(folder), chance.choice(TARGETS)
    word = chance.choice(
        (
            f"model._target_={target}",
            f"++model={{_target_: {target}, command: '{planted}'}}",
            f"encoder.widths=${{oc.env:{VARIABLE}}}",
            f"model.name={planted}",
            f"hydra.run.dir={folder.parent}/elsewhere",
            "--config-dir=/etc",
        )
    )
    (folder / "overrides.txt").write_text(f"{word}\n")
    text = chance.choice(
        (
            f"model:\n  _target_: {target}\n  command: {planted}\n",
            f"model: !!python/object/apply:os.system ['{planted}']\n",
            f"encoder:\n  widths: ${{oc.env:{VARIABLE}}}\n",
            "a: &a [x]\nb: [*a, *a]\n",
        )
    )
    (folder / "config.yaml").write_text(text)
    return folder, lambda path: inherited(Typed("train", command.configs(), [f"weights.init={path}"]))


USUAL = (pickled, array, description, description, description, deep, coco, mpii, listed, boxes, pickled)
ATTACKS = (*USUAL, *USUAL, run)
"""Each is repeated with other numbers; composing a configuration for `run` takes longest."""
