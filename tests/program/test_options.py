"""Every option of every group trains a step in this process, beside the overrides that its file names as `# test:`."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.jobs import training
from tests import companions, running

SMALL = (
    "data.batch_size=2",
    "trainer.max_steps=1",
    "trainer.valid_every=1000",
    "dataset.counts={train: 2, valid: 1, test: 1}",
)


def words(option: str) -> list[str]:
    """Return the overrides of the run: the option, small data, a small encoder, and what its file names."""
    group, _, name = option.partition("/")
    own = companions.words(option)
    given = [word for word in SMALL if not (word.startswith("dataset.") and group in ("dataset", "experiment"))]
    if group == "dataset" and companions.from_disk(name):
        given += [f"dataset.root={name}", "data.crop=[32,32]"]
    if group not in ("model", "encoder", "experiment") and not any(word.startswith("encoder=") for word in own):
        given += ["encoder.widths=[4,8]"]
    typed = {word.partition("=")[0] for word in own}
    return [f"{group}={name}", *(word for word in given if word.partition("=")[0] not in typed), *own]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the small trees that datasets read."""
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize("option", filter(companions.trained, companions.options()))
def test_an_option_trains_a_step(option: str, trees: Path, tmp_path: Path) -> None:
    given = [companions.rooted(word, trees) for word in words(option)]
    assert training.work(running.bare_job(tmp_path, *given)) == 0, (
        f"configs/{option}.yaml: does it need a line `# test:`?"
    )
    assert (tmp_path / "best.safetensors").is_file()
