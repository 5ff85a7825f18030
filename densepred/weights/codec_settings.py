"""Settings of a codec that are typed for a checkpoint: put into its task, and told if decoding does not use them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from densepred.errors import Notice
from densepred.nn import choose

Node = Mapping[str, Any]
TARGETS = "it makes the targets of losses"
"""Reason for settings that decoding never uses: scores and predictions stay the same."""

GENEROUS = ("peak", "dot", "ratio", "parts", "score_threshold")
IDLE: dict[str, tuple[tuple[tuple[str, ...], Callable[[Node], bool], str], ...]] = {
    "Semantic": ((("border", "distance"), lambda node: True, TARGETS),),
    "Components": (
        (("border", "distance"), lambda node: True, TARGETS),
        (("smooth", "split_ratio", "depth"), lambda node: node.get("split") == "none", "only split=distance uses it"),
    ),
    "Panoptic": (
        (("small_area", "small_weight", "ignore_crowd"), lambda node: True, TARGETS),
        (("sigma",), lambda node: node.get("quantised") is True, TARGETS),
        (("stuff_area",), lambda node: node.get("stuff") is False, "stuff=false predicts no stuff"),
    ),
    "FCOS": ((("regress_range", "center_sampling_radius", "prior"), lambda node: True, TARGETS),),
    "CenterDetection": ((("overlap", "radius", "prior"), lambda node: True, TARGETS),),
    "Pose": (
        (("quantised", "occluded"), lambda node: True, TARGETS),
        (
            ("blur", "sigma"),
            lambda node: node.get("decode") in ("argmax", "quarter"),
            "only decode=dark and udp blur maps",
        ),
        (("sigma",), lambda node: node.get("blur") is not None, "blur replaces it"),
    ),
    "OpenPose": (
        (("width",), lambda node: True, TARGETS),
        (GENEROUS, lambda node: node.get("maximize_positives") is True, "maximize_positives=true replaces it"),
        (("neck",), lambda node: node.get("limbs") == "openpose", "limbs=openpose has a neck already"),
    ),
    "Autoencoder": ((("noise", "masked"), lambda node: True, "only training damages its input"),),
}
"""Per class of codec: keys, the condition under which decoding does not use them, and the reason."""


def with_codec_settings(task: Mapping[str, Any], codec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node of a task with other settings of its codec, such as thresholds for decoding.

    Issues a notice for each one that changes neither scores nor predictions.
    """
    known = task.get("codec")
    if not isinstance(known, Mapping):  # refused later, when it is built
        return dict(task)
    for key in codec:
        choose("key of codec", key, [name for name in known if not str(name).startswith("_")])
    node = {**known, **codec}
    for text in idle(node, codec):
        warnings.warn(text, Notice, stacklevel=2)
    return {**task, "codec": node}


def idle(node: Node, typed: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each typed setting of a codec that its decoding does not use."""
    rules = IDLE.get(str(node.get("_target_")).rpartition(".")[2], ())
    for key, value in typed.items():
        reason = next((why for keys, applies, why in rules if key in keys and applies(node)), None)
        if reason is not None:
            yield f"codec.{key}={value}: changes no prediction and no score: {reason}; leave it out"
