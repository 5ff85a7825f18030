"""Values of another type than the signature's are refused by their key before anything is built."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from densepred.build import value_types
from densepred.build.instantiate import _parameters, build, check, find
from densepred.errors import UserError

CONFIGS = Path(__file__).parents[2] / "configs"


def typed(
    rate: float = 0.1,
    count: int = 1,
    flag: bool = True,
    word: str = "a",
    several: Sequence[float] = (),
    pair: tuple[int, int] = (1, 2),
    table: Mapping[str, float] | None = None,
    mode: Literal["a", "b"] = "a",
    anything: Any = None,
    late: float = None,  # type: ignore[assignment]  # noqa: RUF013
    factory: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    return locals()


def node(**values: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.typed", **values}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rate", "abc", "'abc' is not a number; give a number"),
        ("rate", [0.1], "[0.1] is not a number"),
        ("rate", True, "True is not a number"),
        ("rate", None, "null is not a number"),
        ("count", 1.5, "1.5 is not a whole number"),
        ("count", "3", "'3' is not a whole number"),
        ("flag", "yes please", "is not true or false"),
        ("word", 7, "7 is not a word; give a word; for the word of these digits type 'optimizer.word=\"7\"'"),
        ("several", 0.9, "0.9 is not a list"),
        ("several", [0.9, "b"], "is not a list"),
        ("pair", [1, 2, 3], "is not a list of 2 values"),
        ("table", "a", "is not a mapping {name: value} or null"),
        ("table", {"a": "b"}, "is not a mapping"),
        ("mode", "c", "is not one of a, b"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_key(key: str, value: Any, words: str) -> None:
    assert [f"optimizer.{key}: " in text and words in text for text in check({"optimizer": node(**{key: value})})] == [
        True
    ]
    with pytest.raises(UserError, match=rf"^optimizer\.{key}: "):
        build(node(**{key: value}), None, "optimizer")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rate", 1),
        ("several", [1, 0.5]),
        ("pair", [1, 2]),
        ("table", None),
        ("table", {"a": 1}),
        ("mode", "b"),
        ("anything", "abc"),
        ("late", None),
        ("factory", None),
    ],
)
def test_values_that_fit_are_built(key: str, value: Any) -> None:
    assert check({"optimizer": node(**{key: value})}) == []
    assert build(node(**{key: value}))[key] == value


def test_a_node_inside_a_list_is_named_with_its_place() -> None:
    config = {"transform": {"train": [{"_target_": "densepred.transform.flip.Flip", "horizontal": "often"}]}}
    (text,) = check(config)
    assert text.startswith("transform.train[0].horizontal: 'often' is not a number")


def test_a_schedule_inherits_the_types_of_its_base() -> None:
    (text,) = check({"scheduler": {"_target_": "densepred.scheduler.Constant", "warmup": "long"}})
    assert text.startswith("scheduler.warmup: 'long' is not a number")


def test_class_weights_from_the_data_stay_a_word() -> None:
    config = {"loss": {}, "task": {"loss": {"_target_": "densepred.loss.ce.CrossEntropy"}}}
    config["task"]["loss"]["class_weights"] = "median_frequency"
    assert check(config) == []


def nodes(value: Any, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if "_target_" in value:
            yield at, value
        for key, inner in value.items():
            yield from nodes(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner, at)


def test_every_option_has_values_of_the_types_of_its_signature() -> None:
    """The annotations of every component resolve, and fit the values of its own YAML."""
    wrong, count = [], 0
    for path in sorted(CONFIGS.rglob("*.yaml")):
        for at, one in nodes(yaml.safe_load(path.read_text(encoding="utf-8")), path.stem):
            if "${" in one["_target_"]:
                continue
            make = find(one["_target_"], at)
            parameters = _parameters(make) or {}
            wrong += [f"{path}: {make} has types that do not resolve"] if not value_types.hints(make) else []
            for key, value in one.items():
                if key in parameters and "${" not in str(value) and value != "???":
                    count += 1
                    found = value_types.misfit(make, parameters[key], value, key)
                    wrong += [f"{path} {at}.{key}: {found}"] if found else []
    assert not wrong
    assert count > 300
