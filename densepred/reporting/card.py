"""The model card of a run: what it is, on which data it was trained, how well it does, under which licence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from densepred.home import typed
from densepred.reporting.text import table
from densepred.weights import header as header_

UNKNOWN = "not stated"
UNSCORED = "This file holds no scores; those of the best validation are in `best.safetensors` of a run."
PIPELINES = {"detection": "object-detection", "pose": "keypoint-detection", "openpose": "keypoint-detection"}
PIPELINES |= {"autoencoder": "image-feature-extraction"}
"""Hugging Face's name of a task, by the beginning of ours; all others segment images."""


def card(weights: Path, license: str | None, data_license: str | None, repository: str | None = None) -> str:
    """Return the card of a file of weights, in Markdown with the metadata block that model hubs read.

    repository: USER/NAME at Hugging Face, from which the command in the card then loads the weights

    Scores are those in the header, of the best validation; other weights of a run have none. Raises UserError if the
    file is not one of densepred.
    """
    header = header_.read_header(weights)
    info, options = header["info"], header_.options(header)
    dataset = header.get("dataset") if isinstance(header.get("dataset"), dict) else {}
    assert isinstance(dataset, dict)
    task = options.get("task", "semantic")
    scores = (header.get("metrics") or {}).items()
    metrics = {name: float(x) for name, x in scores if isinstance(x, int | float) and name not in ("step", "epoch")}
    kind = next((name for start, name in PIPELINES.items() if task.startswith(start)), "image-segmentation")
    name = f"{options.get('model', 'model')} on {dataset.get('option', 'unknown data')}"
    front = {
        "license": license or "other",
        "library_name": "densepred",
        "pipeline_tag": kind,
        "tags": ["densepred", task],
    }
    source = weights.name if repository is None else f"hf:{repository}"
    parts = [
        "---\n" + "\n".join(f"{key}: {json.dumps(value)}" for key, value in front.items()) + "\n---",
        f"# {name}",
        f"A model of the task `{task}`, trained with densepred.",
        "## Model",
        table(["what", "value"], [[key, str(value)] for key, value in _model(weights, header, options).items()]),
        "## Data",
        table(["what", "value"], [[key, str(value)] for key, value in _data(info, dataset, header).items()]),
        f"## Metrics\n\n{'Best validation, at' if metrics else 'Weights of'} step {header.get('step', UNKNOWN)}.",
        table(["metric", "value"], [[key, value] for key, value in metrics.items()]) if metrics else UNSCORED,
        "## Licence",
        table(["of", "licence"], [["weights", license or UNKNOWN], ["training data", data_license or UNKNOWN]]),
        "## Use",
        f"```\ndensepred-predict {typed('ckpt', source)} input=IMAGE_OR_FOLDER\n```",
        "## Configuration",
        f"```json\n{json.dumps({'model': header['model'], 'task': header['task']}, indent=1)}\n```",
        "## Limits\n\nScores hold for images like those of the validation split. Intended use, groups of people in the "
        "data, and known failures are for the author to add.",
    ]
    return "\n\n".join(parts) + "\n"


def _model(weights: Path, header: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    sizes = [entry["shape"] for key, entry in header_.raw_header(weights).items() if key != "__metadata__"]
    count = 0
    for shape in sizes:
        product = 1
        for side in shape:
            product *= side
        count += product
    return {**options, "numbers in the file": f"{count:,}", "step": header.get("step", UNKNOWN)}


def _data(info: Mapping[str, Any], dataset: Mapping[str, Any], header: Mapping[str, Any]) -> dict[str, Any]:
    splits = header.get("splits") if isinstance(header.get("splits"), dict) else {}
    assert isinstance(splits, dict)
    counts = {f"images of {key}": one.get("count", UNKNOWN) for key, one in splits.items() if isinstance(one, dict)}
    return {
        "dataset": dataset.get("option", UNKNOWN),
        **counts,
        "channels": info.get("channels", 3),
        "classes": ", ".join(info.get("classes") or ()) or "none",
        "keypoints": ", ".join(info.get("keypoints") or ()) or "none",
    }
