"""The text of `--help`, made from the config files themselves, without composing them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from densepred.cli.typed import config_dirs

WIDTH = 100

FLAGS = """\
  --cfg job               print the configuration and stop
  --multirun, -m          run every combination of comma-separated values, each in its own process
  --config-dir DIR        further config files of yours, in folders named like the groups
  -sc install=bash        tab completion: eval "$(densepred-{name} -sc install=bash)"
  --version               print the versions of densepred, torch and Hydra
  HYDRA_FULL_ERROR=1      (environment) show the traceback of an error"""


def wanted(arguments: Sequence[str]) -> bool:
    return any(word in ("-h", "--help") for word in arguments)


def text(name: str, configs: Path, arguments: Sequence[str], examples: str = "") -> str:
    """Return the help of densepred-<name>: examples, groups and their options, plain keys."""
    folders = [configs, *config_dirs(arguments)]
    body = (configs / f"{name}.yaml").read_text(encoding="utf-8")
    chosen = groups(body)
    parts = [f"densepred-{name}: {_title(body)}", "", f"usage: densepred-{name} [group=option ...] [key=value ...]"]
    if examples:
        parts += ["", "Examples", textwrap.indent(textwrap.dedent(examples).strip("\n"), "  ")]
    if chosen:
        parts += ["", "Groups (group=option; the default is marked *; a key of an option is group.key=value)"]
        parts += [line for group, default in chosen.items() for line in _group(group, default, folders)]
    keys = _keys(body)
    trainer = configs / "trainer" / "default.yaml"
    if "trainer" in chosen and trainer.is_file():
        keys += [(f"trainer.{key}", comment) for key, comment in _keys(trainer.read_text(encoding="utf-8"))]
    return "\n".join(
        [
            *parts,
            "",
            "Keys",
            *(f"  {key:<34}  {comment}".rstrip() for key, comment in keys),
            "",
            "Flags",
            FLAGS.format(name=name),
        ]
    )


def _title(body: str) -> str:
    first = next((line for line in body.splitlines() if line.startswith("#") and "@package" not in line), "")
    return first.lstrip("# ").strip()


def groups(body: str) -> dict[str, str]:
    """Return the groups in a defaults list and their chosen options."""
    found = re.findall(r"^  - (?:optional )?([a-z_]+): ([\w]+)", body, re.MULTILINE)
    return {group: option for group, option in found if "/" not in group}


def _group(group: str, default: str, folders: Sequence[Path]) -> list[str]:
    options = {file.stem: file for folder in folders for file in sorted((folder / group).glob("*.yaml"))}
    width = max((len(name) for name in options), default=0) + 1
    lines = [f"  {group}"]
    for name, file in options.items():
        star = "*" if name == default else ""
        lines.append(_cut(f"    {name + star:{width}}  {_title(file.read_text(encoding='utf-8'))}"))
    return lines


def _cut(line: str) -> str:
    """Shorten a line to WIDTH characters, after a whole word."""
    return line.rstrip() if len(line) <= WIDTH else f"{line[: WIDTH - 4].rsplit(' ', 1)[0]} ..."


def _keys(body: str) -> list[tuple[str, str]]:
    """Return `section.key=value` and its comment for every plain key of a config file."""
    keys, section = [], ""
    for line in body.splitlines():
        found = re.match(r"( *)([a-z_]+):(?: +(.*?))?(?: +# (.*))?$", line)
        if found is None or found[2] in ("defaults", "hydra"):
            section = section if found is None else "-"
            continue
        indent, key, value, comment = found.groups()
        if not indent:
            section = "" if value else f"{key}."
        if value and section != "-":
            keys.append((f"{section if indent else ''}{key}={value.replace(', ', ',')}", comment or ""))
    return keys
