"""Names become objects, and every mistake is a message that names its key."""

from __future__ import annotations

import functools
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build, check
from densepred.errors import MachineError, UserError

HERE = __name__


class Part:
    def __init__(self, size: int, colour: str = "red", inner: Any = None) -> None:
        if size < 0:
            raise ValueError("size is negative")
        self.size, self.colour, self.inner = size, colour, inner


class Open:
    def __init__(self, **options: Any) -> None:
        self.options = options


def make(size: int) -> Part:
    return Part(size)


def node(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"{HERE}.{name}", **arguments}


def test_nested_nodes_are_built_before_the_node_that_holds_them() -> None:
    built = build(node("Part", size=1, inner={"list": [node("Part", size=2), 3]}))
    assert isinstance(built, Part)
    assert built.inner["list"][0].size == 2
    assert built.inner["list"][1] == 3


def test_a_partial_node_is_a_factory() -> None:
    factory = build(node("Part", size=1, _partial_=True))
    assert isinstance(factory, functools.partial)
    assert factory(colour="blue").colour == "blue"


def test_runtime_arguments_reach_the_outermost_node_alone() -> None:
    built = build(node("Part", inner=node("Part", size=2)), size=1)
    assert (built.size, built.inner.size) == (1, 2)


def test_functions_methods_and_third_parties_may_be_named_by_the_user() -> None:
    assert build(node("make", size=3)).size == 3
    assert isinstance(
        build({"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": 3}), torch.nn.Conv2d
    )
    assert build({"_target_": "torch.Size.numel", "_partial_": True}).func is torch.Size.numel


def test_a_module_in_the_current_folder_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_net.py").write_text("class Net:\n    def __init__(self, width=3): self.width = width\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert build({"_target_": "my_own_net.Net", "width": 5}).width == 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (node("Part", size=1, colr="red"), ["x.colr", "did you mean colour?"]),
        (node("Part", colour="red"), ["x.size", "needs this argument"]),
        (node("Prt", size=1), ["x._target_", "did you mean Part?"]),
        ({"_target_": "no_such_module.Net"}, ["x._target_", "no module no_such_module", "install its package"]),
        ({"_target_": "Net"}, ["x._target_", "module.Class"]),
        ({"_target_": "a..b"}, ["x._target_", "module.Class"]),
        ({"_target_": 3}, ["x._target_", "3"]),
        ({"_target_": "math.pi"}, ["neither a class nor a function"]),
        (node("Part", size=1, _recursive_=False), ["x._recursive_", "remove it"]),
        (node("Part", size=1, _partial_="yes"), ["x._partial_", "neither true nor false"]),
        (node("Part", size=1, inner=[{"y": node("Part")}]), ["x.inner[0].y.size"]),
        (node("Part", size=-1), ["x", "size is negative"]),
        (node("Part", size=1, colour="${oc.env:HOME}"), ["x.colour", "interpolation"]),
    ],
)
def test_a_mistake_names_its_key_and_the_remedy(wrong: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        build(wrong, None, "x")
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_argument_that_comes_from_the_data_may_not_be_set() -> None:
    with pytest.raises(UserError, match="densepred sets this argument itself"):
        build(node("Part", size=1), None, "x", size=2)


def test_check_reports_every_mistake_at_once_without_building() -> None:
    mistakes = check({"a": node("Part", colr=1), "b": [node("Nope")], "c": node("Part", size=-5), "d": 3})
    assert len(mistakes) == 3
    assert mistakes[0].startswith("a.colr")
    assert mistakes[1].startswith("a.size")
    assert mistakes[2].startswith("b[0]._target_")


def test_check_leaves_factories_and_open_ended_constructors_alone() -> None:
    assert check({"a": node("Part", _partial_=True), "b": node("Open", whatever=1)}) == []


def test_check_calls_shared_nodes_by_the_name_that_is_typed() -> None:
    encoder = node("Part", sise=1, _partial_=True)
    mistakes = check({"encoder": encoder, "model": node("Part", size=1, inner=encoder)})
    assert len(mistakes) == 1
    assert mistakes[0].startswith("encoder.sise")


def test_check_passes_the_default_configuration(plain: Callable[..., dict[str, Any]]) -> None:
    assert check(plain()) == []


def test_check_finds_a_wrong_argument_of_a_real_component(plain: Callable[..., dict[str, Any]]) -> None:
    mistakes = check(plain("+model.colour=3", "+encoder.widht=3", "+metric.confusion.ratio=3"))
    assert any(text.startswith("metric.confusion.ratio: ") for text in mistakes)
    assert any(text.startswith("model.colour: ") for text in mistakes)
    assert any(text.startswith("encoder.widht: ") for text in mistakes)


@pytest.mark.parametrize("failure", ["MemoryError()", "OSError('libx.so: failed to map segment from shared object')"])
def test_an_import_that_memory_refused_blames_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    (tmp_path / "starved_module.py").write_text(f"raise {failure}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MachineError, match=r"^memory ran out; lower data\.batch_size"):
        build({"_target_": "starved_module.Net"})


def test_an_import_that_fails_near_the_limit_of_address_space_blames_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPython raises SystemError if memory is refused in places that do not expect it."""
    (tmp_path / "cut_module.py").write_text("raise SystemError('error return without exception set')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"its module cannot be imported \(SystemError"):
        build({"_target_": "cut_module.Net"})
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10**9, 10**9))
    with pytest.raises(MachineError, match=r"^memory probably ran out: ulimit -v is 1\.0 GB of address space"):
        build({"_target_": "cut_module.Net"})
