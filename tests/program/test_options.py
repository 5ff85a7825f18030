"""Every option of every group trains a step in this process, beside the overrides that its file names as `# test:`.

`make test` lets options that need no company share a run, as parts of one command; `make test-slow` tries each alone.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

import pytest

from densepred.jobs import parts, training
from tests import companions, meta, running

SMALL = (
    "data.batch_size=2",
    "trainer.max_steps=1",
    "trainer.valid_every=1000",
    "dataset.counts={train: 2, valid: 1, test: 1}",
)
LARGE = 500_000
"""Parameters up to which `make test` trains the network of an option."""
RUNS = ("dataset", "experiment", "logger", "metric", "model", "task", "trainer", "upsample")
"""Groups that change what a run writes, and upsamplings, which need numbers; the others change a step alone."""

PAIRS = {
    "model/attention_unet",
    "model/deeplabv3",
    "model/deeplabv3_multigrid",
    "model/deeplabv3plus",
    "model/fpn",
    "model/pspnet",
    "model/residual_unet",
    "model/segnet",
    "model/unetplusplus",
    "model/upernet",
}
"""Presets of an encoder and a decoder, which `test_grid.py` tries as a pair: they train in `make test-slow`."""

SHARED = (("encoder", "loss", "metric", "optimizer", "scheduler", "transform"), ("logger", "trainer", "upsample"))
"""Groups of which one option each fits into one run: none of them asks for an option of another one."""


def words(option: str) -> list[str]:
    """Return the overrides of the run: the option, small data, a small encoder, and what its file names."""
    group, _, name = option.partition("/")
    own = companions.words(option)
    given = [word for word in SMALL if not (word.startswith("dataset.") and group in ("dataset", "experiment"))]
    if group == "dataset" and companions.from_disk(name):
        given += [f"dataset.root={name}", "data.crop=[32,32]"]
    if group != "task":  # the heads of a task have pictures of their own
        given += ["trainer.pictures=0"]
    if group not in ("model", "encoder", "experiment") and not any(word.startswith("encoder=") for word in own):
        given += ["encoder.widths=[4,8]"]
    typed = {word.partition("=")[0] for word in own}
    return [f"{group}={name}", *(word for word in given if word.partition("=")[0] not in typed), *own]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small trees that datasets read."""
    return tmp_path_factory.mktemp("data")


LATER = PAIRS | companions.SIZES_ALONE.keys()
OPTIONS = list(filter(companions.trained, companions.options()))


def runs() -> list[tuple[str, ...]]:
    """Return the options of each run of `make test`: every option is in one, those of LATER excepted."""
    chosen = [option for option in OPTIONS if option not in LATER]
    rows = []
    for groups in SHARED:
        shared = [[one for one in chosen if one.startswith(f"{group}/") and may_share(one)] for group in groups]
        rows += [tuple(filter(None, row)) for row in zip_longest(*shared)]
    return rows + [(option,) for option in chosen if not any(option in row for row in rows)]


def may_share(option: str) -> bool:
    """Return True if an option asks for nothing, or for keys of its own alone."""
    return companions.words(option) == companions.narrow(option)


RUNS_OF_TEST = runs()


def test_every_option_has_a_run() -> None:
    tried = [option for row in RUNS_OF_TEST for option in row]
    assert sorted(tried) == sorted(set(OPTIONS) - LATER)
    assert set(OPTIONS) >= LATER


@pytest.mark.parametrize("options", RUNS_OF_TEST, ids=" ".join)
def test_an_option_trains_a_step_or_fits_in_every_shape(options: tuple[str, ...], trees: Path, tmp_path: Path) -> None:
    """Networks above LARGE take seconds per step and write hundreds of megabytes: they train in `make test-slow`."""
    job = option_job(options, trees, tmp_path)
    info = parts.dataset(job.settings.dataset, "train").info
    task, model = meta.task_and_model(job.settings, info)
    parameters = meta.parameters(model)
    if parameters and (parameters > LARGE or not any(option.startswith(RUNS) for option in options)):
        meta.step(job.settings, task, model)
    else:
        train(job, options)


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_trains_a_step_at_any_size(option: str, trees: Path, tmp_path: Path) -> None:
    train(option_job((option,), trees, tmp_path), (option,))


def option_job(options: tuple[str, ...], trees: Path, folder: Path) -> training.TrainingJob:
    typed = dict.fromkeys(word for option in options for word in words(option))
    if any(option.startswith("encoder/") for option in options):
        typed.pop("encoder.widths=[4,8]", None)  # of the plain encoder, which the others stand beside
    return running.bare_job(folder, *(companions.rooted(word, trees) for word in typed))


def train(job: training.TrainingJob, options: tuple[str, ...]) -> None:
    assert training.work(job) == 0, f"{' '.join(options)}: does one need a line `# test:`?"
    assert (job.folder / "best.safetensors").is_file()
