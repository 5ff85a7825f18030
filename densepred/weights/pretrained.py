"""Pretrained weights: `weights.encoder`, `weights.init` and `weights.model`, from our files and other programs'."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from torch import Tensor, nn

from densepred.contracts import Model, Upsample
from densepred.errors import UserError
from densepred.hub import zoo
from densepred.settings import WeightsSettings
from densepred.types import HeadSpec
from densepred.weights import alike, mistaken, statistics
from densepred.weights.coverage import Coverage, copy_matching
from densepred.weights.families import UPSAMPLE, Family, families, setting
from densepred.weights.file import read_tensors
from densepred.weights.former_heads import Names, channel_names, former
from densepred.weights.header import find_weights, has_description, options, raw_header, read_header

OURS = "encoder."
WRAPPERS = ("module.", "_orig_mod.", "model.")  # of DataParallel, of compiled modules, of training programs
CLASSIFIERS = ("fc.", "classifier.", "head.", "last_linear.", "aux_classifier.")
LEAST = 0.5
"""Share of a model's tensors that `weights.init` must find: with fewer it is another model."""
SHOWN = 3  # names of classes in a line
Say = Callable[[str], None]
Heads = Mapping[str, HeadSpec]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Tensors of a file under one possible renaming."""

    state: dict[str, Tensor]
    extras: list[str]
    family: Family | None = None

    def matched(self, own: Mapping[str, Tensor]) -> int:
        """Count the tensors of a model that have their name here, whatever their shape."""
        return len(self.state.keys() & own.keys())


@dataclass(frozen=True, slots=True)
class Target:
    """A model that weights are loaded into; see `load`."""

    model: Model
    heads: Heads
    say: Say
    node: Mapping[str, Any] | None = None
    trust: Sequence[str] = ()


def load(
    model: Model,
    wanted: WeightsSettings,
    heads: Heads,
    say: Say,
    node: Mapping[str, Any] | None = None,
    trust: Sequence[str] = (),
) -> None:
    """Load the files that `weights.*` names, and report by `say` which tensors were loaded.

    heads: of the task. node: the settings of the model, to be compared with those of a run.
    trust: packages beside densepred that may hold the codec of a file, which names its channels
    Raises UserError if a file covers less than it must: the encoder, the model, or, for `init`, the share LEAST.
    """
    target = Target(model, heads, say, node, trust)
    if wanted.encoder:
        load_encoder(target, wanted.encoder)
    if wanted.init:
        load_matching(target, wanted.init)
    if wanted.model:
        load_model(target, wanted.model)


def load_encoder(target: Target, source: str) -> None:
    """Load the encoder of a run or of another program's file; the last layers of a classifier are expected extras."""
    model, say = target.model, target.say
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UserError("weights.encoder: this model has no encoder; use weights.init")
    own = encoder.state_dict()
    description, state = _open("encoder", source)
    best = max((_encoder_part(one) for one in candidates(state)), key=lambda one: one.matched(own))
    prefixed = [_prefixed(best, f"{name}.") for name, _ in encoder.named_children()]
    best = max(best, *prefixed, key=lambda one: one.matched(own)) if prefixed else best
    coverage = copy_matching(encoder, best.state)
    coverage.expected_extras += best.extras
    say(coverage.text(source))
    missing = [problem for problem in coverage.problems if not problem.startswith("unexpected")]
    if missing or not coverage.loaded:
        raise UserError(
            f"weights.encoder={source}: {len(coverage.loaded)} of {len(own)} tensors of the encoder are covered "
            f"(first problem: {(missing or ['no name in common'])[0]}); choose the encoder that the file was made for"
        )
    missing = settings_missing(model, best.family) + _differing(description, target.node, "encoder")
    _say_settings([word for word in missing if word.startswith(OURS)], say)
    statistics.of_family(model, best.family, say)
    if description:
        statistics.copy(model, state.get("mean"), state.get("std"), "the run", say)


def _say_settings(missing: Sequence[str], say: Say) -> None:
    if missing:
        say(f"  these weights were trained with {' '.join(missing)}")


def _differing(description: Mapping[str, Any], node: Mapping[str, Any] | None, part: str = "") -> list[str]:
    """Return the settings of a run's model, or of one part of it, that `node` has otherwise."""
    former = description.get("model")
    if node is None or not isinstance(former, Mapping):
        return []
    return alike.differing(former.get(part), node.get(part), part) if part else alike.differing(former, node)


def load_matching(target: Target, source: str) -> None:
    """Load every tensor that fits. Channels of heads are matched by the names of classes, keypoints and limbs."""
    model, say = target.model, target.say
    description, state = _open("init", source)
    (before, reason), after = former(description, target.trust), channel_names(target.heads)
    best, coverage = _copy_best(model, state, before, after)
    if not coverage.taken:
        raise UserError(
            f"weights.init={source}: no tensor in it fits this model; choose the model that it was made for"
        )
    say("\n".join([coverage.text(source), *_new_heads(coverage.missing, best.state, before, after, description)]))
    if coverage.taken < LEAST * (coverage.total - len({"mean", "std"} & {*coverage.missing})):
        words = [f"{group}={name}" for group, name in options(description).items() if group != "task"]
        made = " ".join(dict.fromkeys([*words, *_differing(description, target.node)]))
        raise UserError(
            f"weights.init={source}: {coverage.taken} of {coverage.total} tensors fit, less than half; "
            f"type {made or 'model=... encoder=... as it was made with'}, or weights.encoder={source} for its encoder "
            "alone"
        )
    declared = {part for dims in model.channel_axes().values() for parts in dims.values() for part in parts}
    if by_order := sorted(head for head in after if _by_order(head, before, after, head in declared)):
        reason = reason or "this model declares no channel_axes"
        say(f"  {reason} of {', '.join(by_order)}: taken in the order of the file where their number fits")
    _say_settings(settings_missing(model, best.family) + _differing(description, target.node), say)
    statistics.of_family(model, best.family, say)


def load_model(target: Target, source: str) -> None:
    """Load a whole model: every tensor must fit, and the settings that the family of the file expects must hold."""
    model, say = target.model, target.say
    description, state = _open("model", source)
    (before, reason), after = former(description, target.trust), channel_names(target.heads)
    for head in after if before else ():
        if before and before.get(head, after[head]) != after[head]:
            raise UserError(
                f"weights.model={source}: its channels of {head} are {', '.join(before[head])}, those of this dataset "
                f"{', '.join(after[head])}; use weights.init, which matches them by name"
            )
    best, coverage = _copy_best(model, state)
    if best.family is not None:  # those models normalise outside, so their files hold no statistics
        coverage.missing = [name for name in coverage.missing if name not in ("mean", "std")]
    say(coverage.text(source))
    if before is None and (named := [head for head, spec in target.heads.items() if spec.names]):
        say(f"  {reason} of {', '.join(named)}: taken in the order of the file")
    missing = settings_missing(model, best.family) + _differing(description, target.node)
    if problems := coverage.problems:
        settings = f"set {' '.join(missing)}, " if missing else ""
        raise UserError(
            f"weights.model={source}: {len(problems)} tensors do not fit, the first is {problems[0]}; "
            f"{settings}choose the model that it was made for, or use weights.init to take what fits"
        )
    if missing:
        raise UserError(
            f"weights.model={source}: the same weights would give other outputs here; set {' '.join(missing)}"
        )
    statistics.of_family(model, best.family, say)


def _new_heads(
    missing: Sequence[str],
    state: Mapping[str, Tensor],
    before: Names | None,
    after: Names,
    description: Mapping[str, Any],
) -> Iterator[str]:
    """Yield the reason for each head of which the model keeps its own initial weights."""
    for head, names in after.items():
        if not any(name.startswith(f"heads.{head}.") for name in missing):
            continue
        former = (before or {}).get(head, ())
        if not any(name.startswith(f"heads.{head}.") for name in state):
            task = options(description).get("task")
            yield f"  head {head} begins anew: the file has none" + (f", as it is of task={task}" if task else "")
        elif former and not {*former} & {*names}:
            yield f"  head {head} begins anew: none of its names ({_few(names)}) is among the file's ({_few(former)})"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + ", ..." * (len(names) > SHOWN)


def _by_order(head: str, before: Names | None, after: Names, declared: bool) -> bool:
    """Return True if the channels of a head have names that could not be compared with the file's."""
    if before is None:
        return declared
    return not declared and before.get(head, after[head]) != after[head]


def candidates(state: Mapping[str, Tensor]) -> list[Candidate]:
    """Return the names as they are, without their wrappers, and renamed by each family that matches."""
    plain = strip_wrappers(state)
    found = [Candidate(dict(state), []), Candidate(plain, [])]
    for names in (dict(state), plain):
        found += [Candidate(*one.rename(names), one) for one in families().values() if one.matches(names.keys())]
    return found


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors without the prefixes that wrappers put before every name."""
    names = dict(state)
    while prefix := next((w for w in WRAPPERS if names and all(name.startswith(w) for name in names)), None):
        names = {name.removeprefix(prefix): value for name, value in names.items()}
    return names


def _copy_best(
    model: Model, state: Mapping[str, Tensor], before: Names | None = None, after: Names | None = None
) -> tuple[Candidate, Coverage]:
    """Copy into the model under the renaming that matches most of its tensors."""
    own = model.state_dict()
    best = max(candidates(state), key=lambda one: one.matched(own))
    coverage = copy_matching(model, best.state, before, after)
    coverage.expected_extras += best.extras
    if best.family:
        needless = [name for name in coverage.unexpected if best.family.needless(name)]
        coverage.unexpected = [name for name in coverage.unexpected if name not in needless]
        coverage.expected_extras += needless
    return best, coverage


def _encoder_part(candidate: Candidate) -> Candidate:
    part = {name.removeprefix(OURS): value for name, value in candidate.state.items() if name.startswith(OURS)}
    if part:
        return Candidate(part, candidate.extras, candidate.family)
    extras = [name for name in candidate.state if name.startswith(CLASSIFIERS)]
    rest = {name: value for name, value in candidate.state.items() if name not in extras}
    return Candidate(rest, candidate.extras + extras, candidate.family)


def _prefixed(candidate: Candidate, prefix: str) -> Candidate:
    """Put `prefix` before every name: that of the module in which an encoder holds another library's network."""
    return Candidate({prefix + name: v for name, v in candidate.state.items()}, candidate.extras, candidate.family)


def settings_missing(model: Model, family: Family | None) -> list[str]:
    """Return the settings, as they are typed, that a family of weights expects and the model does not have."""
    missing = []
    for place, value in (family.expects if family else {}).items():
        if place == UPSAMPLE:
            missing += [] if _upsampling(model) <= {value} else [setting(place, value)]
        elif reduce(lambda part, name: getattr(part, name, None), place.split("."), model) != value:
            missing.append(setting(place, value))
    return missing


def _upsampling(model: Model) -> set[object]:
    """Return the options of `upsample` that the modules of a model stand for."""
    parts = [part for part in model.modules() if isinstance(part, Upsample)]
    corners = ["_corners" if getattr(part, "align_corners", False) else "" for part in parts]
    return {type(part).__module__.rpartition(".")[2] + more for part, more in zip(parts, corners, strict=True)}


def _open(key: str, place: str) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
    """Return the description of a file, {} if it has none, and its tensors; `place` may name published weights."""
    if zoo.is_name(place):
        return {}, zoo.state(place, f"name a file by weights.{key}").tensors
    try:
        path = find_weights(place)
    except UserError as error:
        raise UserError(f"weights.{key}: {error}") from error
    if kind := mistaken.state(raw_header(path), path):
        raise UserError(f"weights.{key}={path}: is {kind}")
    return read_header(path) if has_description(path) else {}, read_tensors(path)
