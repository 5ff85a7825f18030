"""Settings that are typed and that this job does not use, each with the reason on one line."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from densepred.cli.typed import at
from densepred.errors import Notice
from densepred.process.role import CLAIMED, is_first

Tree = dict[str, Any]
Condition = Callable[[Tree], bool]
GENEROUS = "peak|dot|ratio|parts|score_threshold"
FITTED = (
    "optimizer|scheduler|loss|trainer.(epochs|accumulate|clip|ema|compile|checkpointing|freeze|patience|valid_every|save_every"
    "|max_skipped|keep_last|log_every|precision|channels_last|sync_norm|fused_loss)"
)


def tell(config: DictConfig, overrides: Iterable[str]) -> None:
    """Give a notice for each override without effect, in the first process only."""
    if is_first():
        for text in unused(config, overrides):
            warnings.warn(text, Notice, stacklevel=2)


def unused(config: DictConfig, overrides: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each typed key that this configuration does not use."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    tree = {str(key): value for key, value in plain.items()}
    rules = next((rules for key, rules in COMMANDS.items() if key in tree), ())
    words = [word.lstrip("+").partition("=") for word in overrides if not word.startswith("~")]
    typed = {key: value for key, _, value in words}
    for key, value in typed.items():
        reason = next((reason for keys, applies, reason in rules if _names(keys, key) and applies(tree)), None)
        if reason is not None and value not in ("null", "[]", "{}"):
            yield f"{key}={value}: has no effect: {reason}"


def _names(keys: str, key: str) -> bool:
    return re.fullmatch(rf"(?:{keys})(?:\..*)?", key) is not None


def _is(key: str, *values: Any) -> Condition:
    return lambda tree: at(tree, key) in values


def _made(key: str, target: str) -> Condition:
    return lambda tree: str(at(tree, f"{key}._target_", "")).startswith(f"densepred.{target}")


def _both(*conditions: Condition) -> Condition:
    return lambda tree: all(condition(tree) for condition in conditions)


def _not(condition: Condition) -> Condition:
    return lambda tree: not condition(tree)


def _always(tree: Tree) -> bool:
    return True


def _refers(node: Any, name: str) -> bool:
    """Look for an interpolation of `name` in a node."""
    if isinstance(node, Mapping):
        return any(_refers(value, name) for value in node.values())
    if isinstance(node, list):
        return any(_refers(value, name) for value in node)
    return isinstance(node, str) and f"${{{name}}}" in node


def _nothing_takes_crops(tree: Tree) -> bool:
    rest = {key: value for key, value in tree.items() if key != "data"}
    return not _refers(rest, "data.crop")


def _whole_images(tree: Tree) -> bool:
    first = next(iter(at(tree, "transform.train", []) or []), {})
    size = first.get("size") if str(first.get("_target_")).endswith("crop.Crop") else "of another transform"
    return size is None or (size == "${data.crop}" and at(tree, "data.crop") is None)


def _no_random_split(tree: Tree) -> bool:
    splits = at(tree, "dataset.splits")
    folded = at(tree, "dataset.folds") is not None
    return not folded and isinstance(splits, dict) and not any(isinstance(part, float) for part in splits.values())


def _names_files(tree: Tree) -> bool:
    """Return True if a list holds paths of files; lists of names in .txt, and of folds in .json, look into folders."""
    name = at(tree, "dataset.list")
    return name is not None and not str(name).lower().endswith((".txt", ".json"))


def _by_time(tree: Tree) -> bool:
    return at(tree, "trainer.epochs") is None and at(tree, "trainer.max_steps") is None


def _other_world(tree: Tree) -> bool:
    world = os.environ.get("WORLD_SIZE")
    return world is not None and CLAIMED not in os.environ and world != str(at(tree, "trainer.devices"))


def _alone(tree: Tree) -> bool:
    devices = at(tree, "devices") if at(tree, "trainer") is None else at(tree, "trainer.devices")
    return devices == 1 and "WORLD_SIZE" not in os.environ


def _several_views(tree: Tree) -> bool:
    return at(tree, "tile") is not None or at(tree, "flip") is True or at(tree, "scales") != [1.0]


CROPPING = "data.(crop|drop_last|foreground|balance|cache|transform_on_device)"
TIMEOUT = ("data.timeout_s", _is("data.workers", 0), "data.workers=0 loads without a process that could hang")
ALONE = "it is the longest wait of several processes for one another; this job has one"
BOXES = ("box_threshold", _is("boxes", None), "it is the least score of a box in boxes=, which is not given")
SPLIT = "only random splits use it, such as 'dataset.splits={train: 0.8, valid: 0.2}'"

TRAIN: tuple[tuple[str, Condition, str], ...] = (
    (FITTED, _made("model", "model.pca."), "model=pca is solved in one pass over the images, without an optimizer"),
    TIMEOUT,
    ("data.crop", _nothing_takes_crops, "no transform of this run cuts crops; type transform=default, or another"),
    (r"transform.train.0.(low|high)", _whole_images, "whole images are not scaled; type 'data.crop=[HEIGHT,WIDTH]'"),
    (
        r"scheduler(?!\.warmup)",
        _both(_by_time, _not(_made("scheduler", "scheduler.Constant"))),
        (
            "trainer.max_minutes alone gives no number of steps, so the learning rate stays constant; add "
            "trainer.max_steps=N or trainer.epochs=N"
        ),
    ),
    (
        "trainer.max_restarts",
        _alone,
        "only processes that trainer.devices starts are restarted",
    ),
    ("trainer.timeout_s", _alone, ALONE),
    ("trainer.sync_norm", _alone, "it is about batch norms of several processes; this job has one"),
    ("trainer.devices", _other_world, "torchrun or a scheduler has started the processes, and their number counts"),
    ("trainer.allow", _is("trainer.resume", None), "it names settings that may change with trainer.resume=RUN"),
    ("task.monitor", _not(_is("trainer.monitor", None)), "trainer.monitor replaces it"),
    ("sweep.columns", lambda tree: CLAIMED not in os.environ, "it is for the table of --multirun"),
    ("sweep.parallel", lambda tree: CLAIMED not in os.environ, "it is the number of jobs of --multirun at a time"),
    ("sweep.retry", lambda tree: CLAIMED not in os.environ, "it is for jobs of --multirun that failed before"),
    ("encoder.pretrained", _not(_is("weights.encoder", None)), "weights.encoder replaces these weights"),
    ("dataset.(seed|group)", _no_random_split, SPLIT),
    ("dataset.(images|image_suffix|mask_suffix)", _names_files, "dataset.list names the files"),
    (
        "model.(kernel|dropout)",
        _both(_made("model", "model.fcn."), _is("model.width", None)),
        "it belongs to fc6 and fc7, which model.width=4096 adds",
    ),
    ("decoder.between", _is("decoder.separable", False), "only decoder.separable=true has something between"),
    ("decoder.extra_from", _is("decoder.extra", 0), "it is the source of extra levels; type decoder.extra=2"),
    ("model.size", _both(_made("model", "model.autoencoder."), _is("model.values", None)), "only model.values uses it"),
    (
        "task.codec.(smooth|split_ratio|depth)",
        _is("task.codec.split", "none"),
        "only split=distance uses it",
    ),
    ("task.codec.blur", _is("task.codec.decode", "argmax", "quarter"), "only task.codec.decode=dark or udp blurs maps"),
    (f"task.codec.({GENEROUS})", _is("task.codec.maximize_positives", True), "maximize_positives=true replaces it"),
    ("task.codec.neck", _is("task.codec.limbs", "openpose"), "task.codec.limbs=openpose has a neck already"),
    ("task.codec.stuff_area", _is("task.codec.stuff", False), "task.codec.stuff=false predicts no stuff"),
)
"""Keys as a regular expression, the condition under which they have no effect, and the reason."""

EVAL: tuple[tuple[str, Condition, str], ...] = (
    TIMEOUT,
    ("timeout_s", _alone, ALONE),
    BOXES,
    (CROPPING, _always, "an evaluation takes whole images, all of them, as the run validated them"),
    ("data.check", _always, "an evaluation reads every file, and stops at the first that it cannot use"),
    ("data.on_bad", _always, "an evaluation without some of its images is no evaluation; it stops at a damaged file"),
    ("dataset.(seed|group)", _no_random_split, SPLIT),
)

PREDICT: tuple[tuple[str, Condition, str], ...] = (
    BOXES,
    ("overlap|blend|tile_batch", _is("tile", None), "only windows use it; type tile=512"),
    ("workers", _not(_is("tile", None)), "windows of a large image are read, predicted and written in one process"),
    ("batch_size", _several_views, "with tile, flip or scales images are predicted one by one"),
    ("all_files", _not(_is("split", None)), "split= predicts the images of a list, not those of a folder"),
    ("threshold", _is("overlay", False), "only overlays use it, and overlay=false draws none"),
)

EXPORT: tuple[tuple[str, Condition, str], ...] = (
    (
        "opset",
        lambda tree: str(at(tree, "output")).endswith(".pt2"),
        "it is of ONNX, and .pt2 files are of torch.export",
    ),
    ("dataset|data", _is("images", 0), "only a comparison on images of a dataset uses it; type images=20"),
    TIMEOUT,
    (CROPPING, _always, "the comparison takes whole images, as the run validated them"),
)

CHECK: tuple[tuple[str, Condition, str], ...] = (
    (
        "data.(batch_size|valid_batch_size|drop_last|foreground|balance|cache|transform_on_device|check|timeout_s)",
        _always,
        "every sample is read once, by itself and as it is stored",
    ),
)

CONVERT: tuple[tuple[str, Condition, str], ...] = (
    (
        r"data\.(?!on_bad|max_pixels).*",
        _always,
        "every sample is read once, by itself and as it is stored, in one process",
    ),
)

REPORT: tuple[tuple[str, Condition, str], ...] = (
    (
        "license|data_license|private",
        _is("card", False),
        "only model cards use it; type: densepred-report card ckpt=RUN",
    ),
    ("overwrite", _is("card", False), "a report replaces a former one anyway; it is for model cards"),
    ("title|evaluations", _is("card", True), "a card is of one run, and only a report of a folder uses it"),
    ("private", _is("push", None), "it is about the repository that push=USER/NAME makes"),
)

COMMANDS = {
    "trainer": TRAIN,
    "oracle": EVAL,
    "tile": PREDICT,
    "opset": EXPORT,
    "classes_json": CHECK,
    "form": CONVERT,
    "card": REPORT,
}
"""Rules by a key that their command alone has."""
