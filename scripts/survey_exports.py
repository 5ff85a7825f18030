"""Print the least side of the exported files of each model, for docs/deploy.md: `python -m scripts.survey_exports`.

Each model has the settings of its option, random weights, and batch norms with the statistics of random images. A file
of each format is written and compared with the model at odd sizes, then at smaller and smaller ones.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

from densepred.cli.compose import register
from densepred.exporting import convert, parity
from densepred.exporting.network import Network, example
from densepred.exporting.runtime import SUFFIXES
from densepred.jobs import export, parts
from densepred.sweep import launcher
from scripts.count_parameters import PAGES, composed

TOLERANCE = 1e-3
"""That of the command."""


def network(task_name: str, model_name: str) -> tuple[Network, dict]:
    """Return the network of an option and its heads."""
    nodes, info = composed(task_name, model_name)
    torch.manual_seed(0)
    task, model = parts.task_and_model(nodes["task"], nodes["model"], info)
    measure_norms(model, torch.rand(2, info.channels, 161, 193))
    return Network(model.eval(), task.heads).eval(), task.heads


def measure_norms(model: nn.Module, images: torch.Tensor) -> None:
    """Give batch norms the statistics of images: with those of the start, outputs of random weights vanish."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the mean of all batches, here of one
    with torch.no_grad():
        model.train()(images)


def least_sides(task: str, model: str) -> list[str]:
    """Return the least side per format, or what went wrong."""
    net, heads = network(task, model)
    image = example(3, None)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = convert.program(net, image, None)
        found = []
        for suffix in SUFFIXES:
            trial = Path(folder, f"model{suffix}")
            _, run = export._written(exported, net, trial, trial, 18)
            rows = parity.trials(net, run, heads, TOLERANCE, image, fixed=False)
            least = parity.least_side(net, run, heads, TOLERANCE, image)
            found.append(str(least) if all(row.passed for row in rows) else f"differs: {rows}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", help="options of model/; all if not given")
    args = parser.parse_args()
    register()
    launcher.register()
    tasks = {model: page.task for page in reversed(PAGES.values()) for model in page.models}
    for model in args.models or tasks:
        print(f"| `{model}` | {' | '.join(least_sides(tasks[model], model))} |", flush=True)


if __name__ == "__main__":
    main()
