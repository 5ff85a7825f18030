"""Malicious files: each is refused by a message, and nothing that they name is imported, opened or run."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import densepred.encoder.timm  # noqa: F401, so that its own imports do not look like those of a hostile file
from densepred.build import allowlist
from densepred.cli import overrides
from densepred.errors import UserError
from densepred.jobs.parts import stored, task_and_model
from densepred.types import Info
from densepred.weights.file import load_model, save_weights
from tests import alarm, forked

INFO = Info(classes=("sky", "ball"))


@pytest.fixture(scope="module")
def good(plain: Callable[..., dict[str, Any]]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Write weights and description of a small valid model, and load it once so that all its modules are imported."""
    config = plain("model=unet")
    task, model = task_and_model(config["task"], config["model"], INFO)
    assert task is not None
    return dict(model.state_dict()), {
        "model": stored(config["model"]),
        "task": stored(config["task"]),
        "info": INFO.to_json(),
    }


@pytest.fixture
def refuse(tmp_path: Path, good: Any) -> Iterator[Callable[..., str]]:
    """Load a file, check that it is refused without side effects, return the message."""
    save_weights(tmp_path / "good.safetensors", *good)
    load_model(tmp_path / "good.safetensors")
    yield alarm.refused
    assert not (tmp_path / "canary").exists()


TARGETS = [
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "torch.load",
    "torch.hub.load",
    "torch.nn.Conv2d",
    "numpy.load",
    "hydra.utils.instantiate",
    "densepred.model.encoder_decoder.torch.load",
    "densepred.model.encoder_decoder.nn.Conv2d",
    "densepred.model.encoder_decoder.Model",
    "densepred.decoder.unet.torch",
    "densepred.decoder.unet.UNet.__init__",
    "densepred.decoder.unet.__builtins__",
    "densepred.decoder.unet.nn",
    "densepred.build.instantiate.build",
    "densepred.build.instantiate.pkgutil.resolve_name",
    "densepred.build.allowlist.importlib.import_module",
    "densepred.weights.file.load_model",
    "densepred.contracts.Decoder",
    "densepred.task.Callable",
    "densepred.task.Task",
    "densepred.encoder.plain.Plain",
    "densepred.loss.ce.CrossEntropy",
    "densepred.dataset.folder.Folder",
    "densepred.transform.flip.Flip",
    "densepred.optimizer.sgd",
    "densepred.codec.evil.Evil",
    "densepred.decoder.evil.Evil",
    "evil_package.Net",
    "densepredevil.decoder.Net",
    "densepred.decoderevil.Net",
    "densepred.decoder..unet.UNet",
    "densepred.decoder.unet.",
    ".densepred.decoder.unet.UNet",
    "densepred.decoder.unet.UNet ",
    "densepred.decoder.unet.<lambda>",
    "densepred/decoder/unet.UNet",
    "densepred.decoder.\uff55net.UNet",
    "UNet",
    "",
    3,
    None,
    True,
    ["os.system"],
    {"_target_": "os.system"},
]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_foreign_target_is_never_built(tmp_path: Path, good: Any, refuse: Any, target: Any) -> None:
    weights, header = copy.deepcopy(good)
    header["model"]["decoder"] = {"_target_": target, "command": f"touch {tmp_path}/canary"}
    save_weights(tmp_path / "w.safetensors", weights, header)
    assert "model.decoder._target_" in refuse(tmp_path / "w.safetensors")


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set a key of a description, given as a/b/c."""

    def act(header: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            header = header[key]
        header[last] = value

    return act


def nested(depth: int) -> Any:
    node: Any = 1
    for _ in range(depth):
        node = [node]
    return node


CHANGES = {
    "an unknown argument": ("model/decoder/upsampel", 1),
    "an unknown argument of the task": ("task/evil", 1),
    "an argument that comes from the data": ("model/heads", {}),
    "an interpolation": ("model/decoder/width", "${oc.env:HOME}"),
    "an interpolation in a list": ("model/decoder/widths", ["${oc.decode:x}"]),
    "an interpolation in the monitor": ("task/monitor", "${oc.env:HOME}"),
    "a target among plain values": ("task/weights", {"semantic": {"_target_": "os.system", "command": "ls"}}),
    "a target in stages": ("task/stages", {"_target_": "os.system", "command": "ls"}),
    "a task that is a loss": ("task", {"_target_": "densepred.loss.ce.CrossEntropy"}),
    "a loss that is a codec": ("task/losses/semantic", {"_target_": "densepred.codec.semantic.Semantic"}),
    "a loss that is an operation": ("task/losses/semantic", {"_target_": "densepred.ops.resize.resample.resize"}),
    "a metric that is a loss": ("task/metrics/x", {"_target_": "densepred.loss.ce.CrossEntropy", "_partial_": True}),
    "a codec that is a function": ("task/codec", {"_target_": "builtins.print", "_partial_": True}),
    "a model that is a list": ("model", [1, 2]),
    "a model without a target": ("model", {"encoder": 1}),
    "a task without a target": ("task", {}),
    "a recursive switch": ("model/_recursive_", False),
    "positional arguments": ("model/decoder/_args_", [1]),
    "a partial that is text": ("model/decoder/_partial_", "yes"),
    "a deep nest": ("model/decoder/width", nested(25)),
    "pretrained weights": ("model/encoder/pretrained", True),
    "pretrained weights by name": ("model/encoder/pretrained", "imagenet"),
    "a model hub": ("model/encoder", {"_target_": "densepred.encoder.timm.Timm", "name": "hf-hub:evil/net"}),
    "a local folder": ("model/encoder", {"_target_": "densepred.encoder.timm.Timm", "name": "local-dir:/tmp/x"}),
    "a path": ("model/encoder/weights", "/etc/passwd"),
    "an address": ("model/encoder/weights", "https://evil.example/w"),
    "an encoder that is built at once": ("model/encoder/_partial_", False),
    "too many classes": ("info/classes", [str(i) for i in range(300)]),
    "classes that are a word": ("info/classes", "abc"),
    "an unknown key of the data": ("info/evil", 1),
    "a palette of words": ("info/palette", [["os", "system", "x"]]),
    "no channels": ("info/channels", 0),
    "a standard deviation of zero": ("info/std", [0, 0, 0]),
    "data that are a list": ("info", []),
    "another format": ("format", 99),
    "a width that does not fit": ("model/decoder/width", 7),
    "a width below zero": ("model/encoder/width", -4),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_tampered_description_is_refused(tmp_path: Path, good: Any, refuse: Any, name: str) -> None:
    weights, header = copy.deepcopy(good)
    change(*CHANGES[name])(header)
    save_weights(tmp_path / "w.safetensors", weights, header)
    assert str(tmp_path / "w.safetensors") in refuse(tmp_path / "w.safetensors")


def test_a_trusted_package_must_still_keep_the_contract(tmp_path: Path, good: Any, refuse: Any) -> None:
    weights, header = copy.deepcopy(good)
    for target in ("json.JSONDecoder", "json.decoder.JSONDecoder", "json.loads"):
        header["model"]["decoder"] = {"_target_": target}
        save_weights(tmp_path / "w.safetensors", weights, header)
        refuse(tmp_path / "w.safetensors", ("json",))


def test_trust_holds_for_that_call_alone(tmp_path: Path, good: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger_net.py").write_text("from densepred.decoder.unet import UNet\nclass Mine(UNet):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    weights, header = copy.deepcopy(good)
    header["model"]["decoder"]["_target_"] = "stranger_net.Mine"
    save_weights(tmp_path / "w.safetensors", weights, header)
    for _ in range(2):
        with pytest.raises(UserError, match=r"trust=\[stranger_net\]"):
            load_model(tmp_path / "w.safetensors")
        load_model(tmp_path / "w.safetensors", ["stranger_net"])


PLAIN = ["dataset.size=[96,128]", "dataset.splits={train:a,valid:b}", 'dataset.root="../a b=c"', "dataset.x=null"]
EVIL = [
    "dataset._target_=os.system",
    "dataset.size={_target_:os.system,command:ls}",
    "dataset.size=[{a:{_target_:os.system}}]",
    'dataset.size={"_target_":os.system}',
    "dataset.root=${oc.env:HOME}",
    "+dataset.x=1",
    "~dataset.x",
    "model.x=1",
    "hydra/launcher=basic",
    "hydra.run.dir=/tmp",
    "dataset@model=shapes",
    "dataset=folder",
    "dataset.size=1,2",
    "dataset.size=choice(1,2)",
    "dataset.root=a\ntrust=[evil]",
    "--config-dir=/tmp",
]


def test_recorded_settings_are_plain_values_of_their_section() -> None:
    assert overrides.plain(PLAIN, "dataset") == PLAIN
    for word in EVIL:
        with pytest.raises(UserError, match="choose dataset="):
            overrides.plain([word], "dataset")


@pytest.mark.parametrize("word", EVIL)
def test_a_checkpoint_cannot_slip_settings_into_the_command(tmp_path: Path, good: Any, word: str) -> None:
    from densepred import eval as evaluation

    header = {**good[1], "dataset": {"option": "shapes", "overrides": [word]}}
    save_weights(tmp_path / "w.safetensors", good[0], header)
    with pytest.raises(UserError):
        evaluation.dataset_of_checkpoint([f"ckpt={tmp_path / 'w.safetensors'}"])


def test_commands_refuse_with_one_line(tmp_path: Path, good: Any) -> None:
    weights, header = copy.deepcopy(good)
    header["model"]["decoder"] = {"_target_": "os.system", "command": f"touch {tmp_path}/canary"}
    save_weights(tmp_path / "evil.safetensors", weights, {**header, "dataset": {"option": "shapes", "overrides": []}})
    (tmp_path / "evil.pt").write_bytes(b"\x80\x04.")
    Image.new("RGB", (9, 9)).save(tmp_path / "image.png")
    for command, file, words in (("eval", "evil.pt", []), ("predict", "evil.safetensors", ["input=image.png"])):
        code, _, err = forked.run(command, f"ckpt={file}", *words, folder=tmp_path)
        assert code == 2, err
        assert err.startswith(f"error: {file}: ")
        assert err.count("\n") == 1
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "densepred.encoder.plain.Plain",
        "densepred.transform.resize.Tensor",
        "densepred.build.instantiate.build",
    ],
)
def test_the_transform_of_a_checkpoint_names_transforms_only(target: str) -> None:
    with pytest.raises(UserError, match=r"^transform\._target_: "):
        allowlist.check({"_target_": target}, "transform")
    allowlist.check({"_target_": "densepred.transform.resize.Resize", "size": [24, 32]}, "transform")


def test_a_description_of_defaults_and_of_fields_that_may_be_empty_is_accepted() -> None:
    allowlist.check_info(Info().to_json())
    allowlist.check_info(Info(mirrored=None, max_value=None).to_json())
    with pytest.raises(UserError, match=r"info\.mean"):
        allowlist.check_info({**Info().to_json(), "mean": None})


HUGE = 10**400  # of JSON, beyond every float


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("window", value) for value in ([math.nan, 1], [0, math.inf], [0, HUGE], [-HUGE, 1], [0, 0], [0, True])),
        *(("window", value) for value in ([], [[]], [[1, 2], 3], [[1, [2]]], [[[1, 2], 3]], ["a", 1], [[1, 2]] * 2)),
        ("mean", [HUGE] * 3),
        ("std", [math.nan] * 3),
        ("sigmas", [HUGE]),
        ("max_value", HUGE),
    ],
)
def test_numbers_that_would_make_images_empty_are_refused(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"info\.{key}: "):
        allowlist.check_info({**Info().to_json(), key: value})


@pytest.mark.parametrize("window", [[40, 400], [-1024.5, 1], [[40, 400], [500, 1000.0], [0, 1]]])
def test_windows_of_images_are_accepted(window: list[Any]) -> None:
    allowlist.check_info({**Info().to_json(), "window": window})
