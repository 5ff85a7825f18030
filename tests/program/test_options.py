"""Every option of every group trains a step in this process, beside the overrides that its file names as `# test:`."""

from __future__ import annotations

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


OPTIONS = list(filter(companions.trained, companions.options()))


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_trains_a_step_or_fits_in_every_shape(option: str, trees: Path, tmp_path: Path) -> None:
    """Networks above LARGE take seconds per step and write hundreds of megabytes: they train in `make test-slow`."""
    job = option_job(option, trees, tmp_path)
    info = parts.dataset(job.settings.dataset, "train").info
    task, model = meta.task_and_model(job.settings, info)
    parameters = meta.parameters(model)
    if parameters and (parameters > LARGE or not option.startswith(RUNS)):
        meta.step(job.settings, task, model)
    else:
        train(job, option)


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_trains_a_step_at_any_size(option: str, trees: Path, tmp_path: Path) -> None:
    train(option_job(option, trees, tmp_path), option)


def option_job(option: str, trees: Path, folder: Path) -> training.TrainingJob:
    return running.bare_job(folder, *(companions.rooted(word, trees) for word in words(option)))


def train(job: training.TrainingJob, option: str) -> None:
    assert training.work(job) == 0, f"configs/{option}.yaml: does it need a line `# test:`?"
    assert (job.folder / "best.safetensors").is_file()
