"""The search space of Optuna, written as sweeps of Hydra."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from densepred.errors import UserError

optuna = pytest.importorskip("optuna")


def split(*words: str) -> tuple[Mapping[str, object], Mapping[str, str | None]]:
    from densepred.sweep import space

    return space.split(OverridesParser.create().parse_overrides(list(words)))


def test_sweeps_become_distributions() -> None:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found, fixed = split(
        "optimizer.lr=tag(log, interval(1e-4, 1e-1))",
        "a=interval(0, 0.5)",
        "b=int(interval(2, 5))",
        "c=range(1, 8, 3)",
        "d=range(0.1, 0.5, 0.1)",
        "e=choice(unet, [1, 2])",
        "+f=x,y",
        "seed=3",
        "g=1,2",
        "g=7",
    )
    assert found == {
        "optimizer.lr": FloatDistribution(1e-4, 1e-1, log=True),
        "a": FloatDistribution(0.0, 0.5),
        "b": IntDistribution(2, 5),
        "c": IntDistribution(1, 7, step=3),
        "d": FloatDistribution(0.1, 0.4, step=0.1),
        "e": CategoricalDistribution(["unet", "[1,2]"]),
        "+f": CategoricalDistribution(["x", "y"]),
    }
    assert fixed == {"seed": "3", "g": "7"}


def test_deletions_of_all_trials_stay_as_they_were_typed() -> None:
    """Hydra refuses `~key=null` if the value of the key is another one."""
    from densepred.sweep import space

    words = ["~transform.train.2", "~optimizer.momentum=0.9", "trainer.ema=null"]
    assert space.words(split(*words)[1]) == words


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("a=tag(log, interval(0, 1))", "of a log, above 0"),
        ("a=tag(fast, interval(0, 1))", r"tag\(fast\) has no meaning"),
        ("a=tag(log, range(1, 9, 2))", "a log has no steps"),
        ("a=range(9, 1, -2)", "a range to search goes up"),
    ],
)
def test_a_sweep_without_a_distribution_is_refused(word: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        split(word)


def test_validations_are_read_once_and_lines_of_a_job_that_goes_on_again(tmp_path: Path) -> None:
    from densepred.sweep.scores import Scores

    scores, file = Scores(tmp_path), tmp_path / "metrics.jsonl"
    assert scores.new("miou") == []
    file.write_text('{"step": 5, "valid/miou": 0.25}\n{"step": 6, "train/loss": 1}\n{"step": 10, "valid/mi')
    assert scores.new("miou") == [(5, 0.25)]
    with file.open("a") as more:
        more.write('ou": 0.5}\n{"step": 15, "valid/miou": null}\n')
    assert scores.new("miou") == [(10, 0.5)]
    file.write_text('{"step": 5, "valid/miou": 0.25}\n')
    assert scores.new("miou") == [(5, 0.25)]
