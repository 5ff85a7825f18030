"""The model and the task of a run that `weights.init=RUN` starts from, for a command that does not type them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from densepred.build import renamed
from densepred.cli import compose, overrides
from densepred.cli.note import say
from densepred.cli.typed import Typed, at
from densepred.errors import UserError
from densepred.home import expand
from densepred.output import HIDDEN
from densepred.rundir import override, provenance
from densepred.weights import header

MODEL = ("model", "encoder", "decoder", "upsample")
GROUPS = (*MODEL, "task")
KEY = "weights.init"
MISSING = object()


def inherited(typed: Typed, begun: Sequence[str] = ()) -> list[str]:
    """Return the overrides that give the run its predecessor's model and task, except what is typed; say which.

    A run that has begun, with the overrides `begun`, keeps what it took then: its predecessor may be gone.
    `model=` typed takes no part of the model from RUN, and `experiment=` nothing at all: both choose their own parts.
    """
    source = override.value(typed.words, KEY)
    if source in (None, "", "null"):
        return []
    own = {override.key(word) for word in typed.words}
    if "experiment" in own:
        say(f"{KEY}={source}: the experiment chooses the model and the task, none is taken from the run")
        return []
    if begun:
        return [
            word for word in begun if override.key(word).partition(".")[0] in GROUPS and override.key(word) not in own
        ]
    taken = [group for group in GROUPS if group not in own and not (group in MODEL and "model" in own)]
    words = [word for word in _recorded(expand(source), typed, taken) if override.key(word) not in own]
    if words:
        say(f"{KEY}={source}: taken from the run: {' '.join(words)}; type a key again for another value")
    return words


def _recorded(source: Path, typed: Typed, taken: Sequence[str]) -> Iterator[str]:
    """Yield the options of these groups that a run used, then the settings in which it differs from the options."""
    run = source if source.is_dir() else source.parent
    if not provenance.exists(run):
        yield from _of_header(source, typed, taken)
        return
    before = [word for word in provenance.overrides(run) if not _left_out(word)]
    chosen, config = typed.choices(before), typed.compose(before)
    if chosen is None or config is None:
        say(f"{KEY}={source}: its settings cannot be read here, so the model is the one that is typed, or the default")
        return
    idle = compose.idle_groups(OmegaConf.create(config))
    options = [
        f"{group}={chosen[group]}" for group in taken if group not in idle and chosen.get(group) in typed.options(group)
    ]
    yield from options
    plain, written = typed.compose(options) or {}, _written(run)
    for group in (word.partition("=")[0] for word in options):
        words = list(_differing(plain.get(group), written.get(group, config.get(group)), group))
        try:  # the folder may be of unknown origin
            overrides.plain([word.lstrip("+") for word in words], group)
        except UserError as error:
            raise UserError(f"{KEY}={source}: {error}") from error
        yield from words


def _left_out(word: str) -> bool:
    return word.lstrip("+~").startswith("hydra") or HIDDEN in word


def _of_header(source: Path, typed: Typed, taken: Sequence[str]) -> list[str]:
    """Return the options that the header of a lone file names, of those that exist here."""
    try:
        path = header.find_weights(source)
        described = header.read_header(path) if header.has_description(path) else {}
    except UserError:  # reported when the weights are loaded
        return []
    options = header.options(described)
    words = [f"{group}={options[group]}" for group in taken if options.get(group) in typed.options(group)]
    model = described.get("model")
    stride = at(model, "encoder.output_stride") if isinstance(model, dict) else None
    if isinstance(stride, int) and any(word.startswith("encoder=") for word in words):
        words.append(f"encoder.output_stride={stride}")  # equal weights predict otherwise at another stride
    return words


def _written(run: Path) -> dict[str, Any]:
    """Return the configuration of a run under the present names of its keys; {} if it is not readable."""
    try:
        return renamed.node(provenance.configuration(run / "config.yaml"), set())
    except UserError:
        return {}


def _differing(before: Any, after: Any, key: str) -> Iterator[str]:
    """Yield an override for each setting of `after` that `before` lacks or has otherwise."""
    if isinstance(after, Mapping) and isinstance(before, Mapping):
        for name, value in after.items():
            yield from _differing(before.get(name, MISSING), value, f"{key}.{name}")
    elif before != after and after != HIDDEN:
        (word,) = provenance.words({"value": after}, key)
        text = word.partition("=")[2]
        # The file holds the weights already: nothing is to be downloaded.
        yield f"{'++' if before is MISSING else ''}{key}={'false' if key.endswith('.pretrained') else text}"
