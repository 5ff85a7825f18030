"""What a run starts from: `weights.encoder`, `weights.init` and `weights.model`, from our files and other people's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.errors import UserError
from densepred.settings import WeightsSettings
from densepred.weights import header
from densepred.weights.coverage import Coverage, transfer
from densepred.weights.families import Family, families
from densepred.weights.file import read_tensors
from densepred.weights.header import find, read_header

OURS = "encoder."
WRAPPERS = ("module.", "_orig_mod.", "model.")  # of DataParallel, of compiled modules, of training programs
CLASSIFIERS = ("fc.", "classifier.", "head.", "last_linear.", "aux_classifier.")
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the names of a file."""

    state: dict[str, Tensor]
    extras: list[str]
    family: Family | None = None

    def covered(self, own: Mapping[str, Tensor]) -> int:
        """How many of a model's tensors it names, in their shape or another."""
        return len(self.state.keys() & own.keys())


def initial(model: Model, wanted: WeightsSettings, classes: tuple[str, ...], say: Say) -> None:
    """Load what `weights.*` names, and say what was loaded and what was not.

    Raises UserError where a file covers less than it must: the whole encoder, the whole model, or anything at all.
    """
    if wanted.encoder:
        load_encoder(model, wanted.encoder, say)
    if wanted.init:
        load_what_fits(model, wanted.init, classes, say)
    if wanted.model:
        load_model(model, wanted.model, say)


def load_encoder(model: Model, source: str, say: Say) -> None:
    """The encoder of a run, or one of another's files; a classifier's last layers are no surprise."""
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UserError("weights.encoder: this model has no encoder; use weights.init")
    own = encoder.state_dict()
    state = _read("encoder", source)
    reading = max((_encoder_part(one) for one in readings(state)), key=lambda one: one.covered(own))
    prefixed = [_prefixed(reading, f"{name}.") for name, _ in encoder.named_children()]
    reading = max(reading, *prefixed, key=lambda one: one.covered(own)) if prefixed else reading
    coverage = transfer(encoder, reading.state)
    coverage.expected_extras += reading.extras
    say(coverage.text(source))
    missing = [problem for problem in coverage.problems if not problem.startswith("unexpected")]
    if missing or not coverage.loaded:
        raise UserError(
            f"weights.encoder={source}: {len(coverage.loaded)} of {len(own)} tensors of the encoder are covered "
            f"(first problem: {(missing or ['no name in common'])[0]}); choose the encoder that the file was made for"
        )
    if unmet := [word for word in _unmet(model, reading.family) if word.startswith(OURS)]:
        say(f"  these weights were made with {' '.join(unmet)}")
    _take_statistics(model, reading.family, say)


def load_what_fits(model: Model, source: str, classes: tuple[str, ...], say: Say) -> None:
    path = _found("init", source)
    then: Sequence[str] = ()
    if header.described(path):
        then = read_header(path).get("info", {}).get("classes", [])
    reading, coverage = _best(model, read_tensors(path), tuple(then), classes)
    if not coverage.loaded:
        raise UserError(f"weights.init={source}: nothing in it fits this model; choose the model that it was made for")
    say(coverage.text(str(path)))
    _take_statistics(model, reading.family, say)


def load_model(model: Model, source: str, say: Say) -> None:
    """Everything must fit, and what the family of the file expects of the model must hold."""
    reading, coverage = _best(model, _read("model", source))
    if reading.family is not None:  # their models normalise outside, so their files hold no statistics
        coverage.missing = [name for name in coverage.missing if name not in ("mean", "std")]
    say(coverage.text(source))
    if problems := coverage.problems:
        raise UserError(
            f"weights.model={source}: {len(problems)} tensors do not fit, the first is {problems[0]}; "
            "choose the model that it was made for, or use weights.init to take what fits"
        )
    if unmet := _unmet(model, reading.family):
        raise UserError(f"weights.model={source}: equal weights would answer otherwise here; set {' '.join(unmet)}")
    _take_statistics(model, reading.family, say)


def readings(state: Mapping[str, Tensor]) -> list[Reading]:
    """The names as they are, without their wrappers, and as each family that they may be of reads them."""
    plain = unwrapped(state)
    found = [Reading(dict(state), []), Reading(plain, [])]
    for names in (dict(state), plain):
        found += [Reading(*one.translate(names), one) for one in families().values() if one.holds(names.keys())]
    return found


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors without the prefixes that wrappers put before every name."""
    names = dict(state)
    while prefix := next((w for w in WRAPPERS if names and all(name.startswith(w) for name in names)), None):
        names = {name.removeprefix(prefix): value for name, value in names.items()}
    return names


def _best(
    model: Model, state: Mapping[str, Tensor], then: tuple[str, ...] = (), now: tuple[str, ...] = ()
) -> tuple[Reading, Coverage]:
    own = model.state_dict()
    reading = max(readings(state), key=lambda one: one.covered(own))
    coverage = transfer(model, reading.state, then, now)
    coverage.expected_extras += reading.extras
    return reading, coverage


def _encoder_part(reading: Reading) -> Reading:
    part = {name.removeprefix(OURS): value for name, value in reading.state.items() if name.startswith(OURS)}
    if part:
        return Reading(part, reading.extras, reading.family)
    extras = [name for name in reading.state if name.startswith(CLASSIFIERS)]
    rest = {name: value for name, value in reading.state.items() if name not in extras}
    return Reading(rest, reading.extras + extras, reading.family)


def _prefixed(reading: Reading, prefix: str) -> Reading:
    """With the name of the module in which an encoder keeps someone else's body."""
    return Reading({prefix + name: v for name, v in reading.state.items()}, reading.extras, reading.family)


def _unmet(model: Model, family: Family | None) -> list[str]:
    """The settings, as one types them, that a family of weights expects and the model lacks."""
    unmet = []
    for place, value in (family.expects if family else {}).items():
        if reduce(lambda part, name: getattr(part, name, None), place.split("."), model) != value:
            # `upsample` is a group of its own, though the module is in the decoder.
            key = place.removeprefix("decoder.") if place.startswith("decoder.upsample.") else place
            unmet.append(f"{'' if '.' in key else 'model.'}{key}={'null' if value is None else str(value).lower()}")
    return unmet


@torch.no_grad()
def _take_statistics(model: Model, family: Family | None, say: Say) -> None:
    """Let the model normalise its input as the weights expect; grey and multi-channel images keep their own."""
    mean = getattr(model, "mean", None)
    if family is None or not family.mean or not isinstance(mean, Tensor) or mean.numel() != len(family.mean):
        return
    std = getattr(model, "std", None)
    assert isinstance(std, Tensor)
    wanted = [value.new_tensor(given).view_as(value) for value, given in ((mean, family.mean), (std, family.std))]
    if not (torch.equal(mean, wanted[0]) and torch.equal(std, wanted[1])):
        mean.copy_(wanted[0])
        std.copy_(wanted[1])
        say(f"  images are normalised as for {family.name}: mean {list(family.mean)}, std {list(family.std)}")


def _read(key: str, source: str) -> dict[str, Tensor]:
    return read_tensors(_found(key, source))


def _found(key: str, place: str) -> Path:
    try:
        return find(place)
    except UserError as error:
        raise UserError(f"weights.{key}: {error}") from error
