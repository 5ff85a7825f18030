"""Arguments of components under former names, so that older checkpoints and runs stay readable.

Three places store names: nodes in the header of a weights file, overrides of a run, flattened configs in checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_OVERLAP = {"absent": "include_absent", "background": "include_background"}
_RATES = {"rates": "atrous_rates"}
_LATENT = {"code": "latent_channels"}
FORMER: dict[str, dict[str, str]] = {
    "codec.center_detection.CenterDetection": {"most": "max_detections", "score": "score_threshold"},
    "codec.components.Components": {"neck": "split_ratio"},
    "codec.fcos.FCOS": {
        "most": "max_detections",
        "candidates": "pre_nms_top_k",
        "reach": "regress_range",
        "radius": "center_sampling_radius",
        "score": "score_threshold",
    },
    "codec.openpose.OpenPose": {"most": "max_detections", "score": "score_threshold"},
    "codec.panoptic.Panoptic": {"most": "max_detections"},
    "decoder.deeplabv3.DeepLabV3": _RATES,
    "decoder.deeplabv3plus.DeepLabV3Plus": _RATES,
    "decoder.panoptic_deeplab.PanopticDeepLab": _RATES,
    "loss.bce.BinaryCrossEntropy": {"beta": "pos_weight"},
    "loss.boundary.Boundary": {"background": "include_background"},
    "loss.ce_dice.CrossEntropyDice": _OVERLAP,
    "loss.dice.Dice": _OVERLAP,
    "loss.focal_tversky.FocalTversky": _OVERLAP,
    "loss.generalised_dice.GeneralisedDice": _OVERLAP,
    "loss.jaccard.Jaccard": _OVERLAP,
    "loss.lovasz.Lovasz": _OVERLAP,
    "loss.topk.TopK": {"share": "top_k_percent"},
    "loss.tversky.Tversky": _OVERLAP,
    "model.autoencoder.Autoencoder": _LATENT,
    "model.linear_autoencoder.LinearAutoencoder": _LATENT,
    "model.pca.PCA": _LATENT,
}
"""Class below `densepred` -> former argument -> argument."""

COMMANDS = {"annotations": "coco_ids", "prune": "skip_stages"}
"""Former keys of densepred-eval and densepred-predict; no file stores them."""


def present(target: Any, key: str) -> str:
    """Return the name that an argument of the class with this `_target_` has now."""
    return FORMER.get(str(target).removeprefix("densepred."), {}).get(key, key)


def node(former: Any, changed: set[str] | None = None) -> Any:
    """Return a node with its arguments, nested ones included, under their present names; collect `old -> new`."""
    if isinstance(former, list | tuple):
        return [node(value, changed) for value in former]
    if not isinstance(former, Mapping):
        return former
    found = {}
    for key, value in former.items():
        name = present(former.get("_target_"), str(key))
        if name != key and changed is not None:
            changed.add(f"{key} -> {name}")
        found[name] = node(value, changed)
    return found


def flat(former: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config of dotted keys under its present names; the class of a key stands beside it as `_target_`."""
    return {_dotted(key, former): value for key, value in former.items()}


def words(overrides: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """Return overrides `key=value` under their present names; `config` is the config of that run as dotted keys."""
    found = []
    for override in overrides:
        prefix, key, rest = re.fullmatch(r"([+~]*)([\w.@/]*)(.*)", override, re.DOTALL).groups()  # type: ignore[union-attr]
        found.append(f"{prefix}{_dotted(key, config)}{rest}")
    return found


def _dotted(key: str, config: Mapping[str, Any]) -> str:
    place, dot, name = key.rpartition(".")
    return f"{place}{dot}{present(config.get(f'{place}._target_'), name)}"
