"""densepred-import: convert weights of other programs, pickled or not, to a safetensors file that is safe to open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from densepred.cli import command, compose
from densepred.errors import UserError, suggest
from densepred.home import expand, typed

if TYPE_CHECKING:
    from torch import Tensor

EXAMPLES = """
densepred-import input=deeplabv3_resnet50_coco.pth output=deeplabv3.safetensors
densepred-import input=hrnet_cs.pth family=hrnet_segmentation output=hrnet.safetensors
densepred-train model=deeplabv3_resnet50 weights.init=deeplabv3.safetensors
"""

ORIGIN = "densepred_import"
"""Key of the metadata that names the file it was made from, with its digest and family."""


def main() -> None:
    command.run(convert, "import", EXAMPLES)


def convert(cfg: DictConfig) -> int:
    settings = compose.settings(cfg)
    source, output = expand(settings.input), expand(settings.output)
    _check_places(source, output)
    import json

    from densepred import atomic
    from densepred.weights import header
    from densepred.weights.file import write_tensors
    from densepred.weights.pretrained import strip_wrappers

    state = strip_wrappers(_tensors(source, settings.key))
    family = _family(state, settings.family, source)
    origin = {"file": source.name, "sha256": atomic.digest(source), "family": family}
    output.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(output, state, {ORIGIN: json.dumps(origin)})
    header.raw_header(output)
    for line in contents(state, family):
        print(line)
    count = sum(value.numel() for value in state.values())
    print(f"{output}: {len(state)} tensors, {count:,} numbers, family {family or 'unknown, names kept as they are'}")
    print(f"use it: densepred-train model=... {typed('weights.model', output)}  (or weights.encoder=, weights.init=)")
    return 0


def contents(state: dict[str, Tensor], family: str | None) -> Iterator[str]:
    """Yield a line per part of a file: its tensors, their numbers, and the widths of its first and last layer."""
    from densepred.weights import families

    parts: dict[str, list[Tensor]] = {}
    for name, value in state.items():
        parts.setdefault(name.partition(".")[0], []).append(value)
    for part, values in parts.items():
        yield f"  {part}: {len(values)} tensors, {sum(value.numel() for value in values):,} numbers"
    convs = [(name, value) for name, value in state.items() if value.ndim in (2, 4)]
    if convs:
        (first, start), (last, end) = convs[0], convs[-1]
        yield f"  first layer {first}: {start.shape[1]} channels in; last layer {last}: {end.shape[0]} channels out"
    if family is not None:
        one = families.family(family)
        yield f"  family {family}: {one.name}" + "".join(
            f"; needs {families.setting(*expected)}" for expected in one.expects.items()
        )


def _check_places(source: Path, output: Path) -> None:
    if not source.is_file():
        raise UserError(f"input={source}: there is no such file; check the path")
    if output.suffix != ".safetensors":
        raise UserError(f"output={output}: does not end in .safetensors; give a name that does")
    if output.exists():
        raise UserError(f"output={output}: exists already; remove it or choose another name")


def _tensors(source: Path, key: str | None) -> dict[str, Tensor]:
    from densepred.hub import pickles
    from densepred.weights import mistaken
    from densepred.weights.file import read_tensors

    if source.suffix == ".safetensors":
        if key is not None:
            raise UserError(f"key={key}: the safetensors file holds one set of tensors; remove key")
        return read_tensors(source)
    with source.open("rb") as file:
        kind = mistaken.file(file.read(16), source.with_suffix(""))  # a name alone shows nothing of what torch wrote
    if kind is not None:
        raise UserError(f"{source}: is {kind}")
    return pickles.read(source, key)


def _family(state: dict[str, Tensor], wanted: str, source: Path) -> str | None:
    """Return the family of `keymap/` that matches these names; None if there is none."""
    from densepred.weights import families

    known = families.families()
    if wanted == "auto":
        found = families.matching_families(state)
        if len(found) > 1:
            raise UserError(f"{source}: matches several families ({', '.join(found)}); choose one by family=...")
        return found[0] if found else None
    if wanted not in known:
        raise UserError(f"family={wanted}: unknown; {suggest(wanted, known)}")
    if not known[wanted].matches(state):
        found = ", ".join(families.matching_families(state)) or "none of the known ones"
        raise UserError(f"family={wanted}: {source} does not have its names (it looks like {found}); use family=auto")
    return wanted


if __name__ == "__main__":
    main()
