"""Hints for misspelt words, and values in messages."""

from __future__ import annotations

import errno
import importlib
import resource
from pathlib import Path

import pytest
import torch

from densepred import atomic
from densepred.errors import MachineError, UserError, classed, out_of_memory, shown, suggest, system_error
from densepred.loader.loaders import explained


@pytest.mark.parametrize(
    ("word", "otherwise", "count", "hint"),
    [
        ("unett", None, 1, "did you mean unet?"),
        ("resnet3", "see the list", 2, "did you mean resnet34 or resnet18?"),
        ("vgg", None, 1, "known: resnet18, resnet34, unet"),
        ("vgg", "see the list", 1, "see the list"),
        ("vgg", "", 1, ""),
    ],
)
def test_the_closest_words_are_suggested_or_the_alternative(
    word: str, otherwise: str | None, count: int, hint: str
) -> None:
    assert suggest(word, {"unet", "resnet34", "resnet18"}, otherwise, count) == hint


def test_without_words_nothing_is_known() -> None:
    assert suggest("x", []) == "known: none"


@pytest.mark.parametrize("value", ["é\n" * 100, 10**5000, None, 1.5], ids=["text", "number", "none", "float"])
def test_any_value_is_printed_in_one_short_line(value: object) -> None:
    text = shown(value)
    assert text.isascii()
    assert "\n" not in text
    assert 0 < len(text) <= 60


def test_refusals_of_the_system_name_file_fact_and_remedy() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "a/b.png")
    assert system_error(full) == "a/b.png: no space left on device; free some space, or choose another folder"
    many = OSError(errno.EMFILE, "Too many open files")
    assert system_error(many) == (
        "the operating system: too many open files; raise the limit (ulimit -n), or lower data.workers"
    )
    assert system_error(FileNotFoundError(errno.ENOENT, "No such file")) is None


def test_a_full_disk_names_the_file_that_was_to_be_written(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left.*a\.json"):
        atomic.replace(tmp_path / "a.json", full)


def test_memory_that_runs_out_is_recognised() -> None:
    allocator = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate"
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError(allocator))
    assert not out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 58)
    assert out_of_memory(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CUDA out of memory. Tried to allocate", r"memory ran out; lower data\.batch_size"),
        ("value cannot be converted to type float without overflow", r"too large for float32; lower optimizer\.lr"),
        ("unable to allocate shared memory(shm) for file </torch_1_2>: No space left", r"/dev/shm: .*--shm-size"),
        ("DataLoader worker (pid 1) is killed by signal: Bus error. ", r"/dev/shm: "),
        ("Failed to recv, got 0 bytes. Connection was likely closed.", "another process of this run ended"),
    ],
)
def test_errors_of_torch_become_sentences(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message), explained():
        raise RuntimeError(text)


def test_a_refused_thread_names_the_limit_of_processes() -> None:
    for text in ("can't start new thread", "Resource temporarily unavailable"):  # Python, C++
        assert isinstance(found := classed(RuntimeError(text)), MachineError)
        assert str(found).startswith("the limit of processes: ")
    assert "ulimit -u" in str(classed(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")))


def test_errors_of_any_kind_near_the_limit_of_address_space_are_those_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strange = RuntimeError("could not create a primitive")  # of oneDNN
    assert classed(strange) is None
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (4 * 10**12, 4 * 10**12))
    assert classed(strange) is None  # far from the limit
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (10**9, 10**9))
    told = str(classed(strange))
    assert told.startswith("memory probably ran out: ulimit -v is 1.0 GB of address space (")
    assert "; raise it" in told
    assert "could not create a primitive" in told
    assert str(classed(MemoryError())).startswith("memory ran out: ulimit -v is 1.0 GB")


def test_a_name_that_is_no_utf_8_is_named() -> None:
    with pytest.raises(UnicodeEncodeError) as raised:
        "a\udcff.png".encode()
    assert str(classed(raised.value)) == "'a\\udcff.png': a name that is not UTF-8; rename the file or the folder"


def test_a_missing_module_is_one_of_the_installation_unless_it_is_our_own() -> None:
    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module("absent_package.part")
    assert str(classed(raised.value)).startswith("absent_package: a Python module that an installed package needs is")
    with pytest.raises(ModuleNotFoundError) as raised:
        importlib.import_module("densepred.absent")
    assert classed(raised.value) is None
