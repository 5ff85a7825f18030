"""Write the reference of options, keys and modules from config files and docstrings: `make docs`.

The file of an option describes it: the comment at the top is its description, the comment behind a key that of the key.
docs/options.md is written whole, docs/configuration.md between its marks `<!-- keys of ... -->`. The docstring of a
module describes it in docs/modules.md. A model without a row in the table of its task gets one from
scripts/count_parameters.py.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
GROUPS = {
    "task": "Target encoding, losses per head, decoding, metrics. A task chooses a model, a loss and a metric.",
    "model": "The whole network. Most options choose an encoder, a decoder and an upsampling.",
    "encoder": "The feature extractor (backbone): feature maps from shallow to deep.",
    "decoder": "From the encoder's feature maps to one map, or to a pyramid of maps, that the heads read.",
    "upsample": "The operation by which decoders enlarge a feature map.",
    "loss": "The loss of the task's first head; see [losses.md](losses.md).",
    "metric": "Several can be chosen: `metric=[confusion,boundary_iou]`; see [metrics.md](metrics.md).",
    "dataset": "The images and their ground truth; see [data.md](data.md).",
    "transform": "Augmentation of training samples, and preparation of validation samples; see [data.md](data.md).",
    "optimizer": "The update rule, its learning rate and weight decay.",
    "scheduler": "The factor on the learning rate over the run.",
    "trainer": "Length, precision, checkpoints; see [configuration.md](configuration.md#keys-of-densepred-train).",
    "logger": "Where numbers and images go beside metrics.jsonl. Several as `logger=[csv,wandb]`, none as `logger=[]`.",
    "recipe": "Defaults for data of one's own; crop and length come from the data. See [recipes.md](recipes.md).",
    "experiment": "A complete recipe: choices of options and the values that differ from their defaults.",
}
"""Sections of docs/options.md in their order; a group without a sentence here comes last."""
UNQUOTED = {ord(sign): None for sign in "' "}
COMMANDS = ("train", "eval", "predict", "import", "export", "report", "check", "convert")
HEADER = """\
# Options

<!-- Written by `make docs` from the comments in configs/: edit those, not this page. -->

`group=option` chooses an option, `group.key=value` sets one of its keys. `*` marks the default of `densepred-train`.
Keys stand with their defaults. "as `x`" means the keys and defaults of option `x`, except for those listed.
"""
MODULES = """\
# Modules

<!-- Written by `make docs` from the first lines of the modules' docstrings: edit those, not this page. -->

Every module of `densepred/` and what it holds. [architecture.md](architecture.md) explains the rooms and their order;
[CONTRIBUTING.md](../CONTRIBUTING.md#i-look-for-) leads from a subject to its module.
"""


class Key(NamedTuple):
    """One key of a config file: its dotted name, its default as written, the comment behind it."""

    name: str
    value: str
    comment: str


class Option(NamedTuple):
    """One config file: the lines of its header, its parents, the options it chooses of other groups, its keys."""

    name: str
    header: list[str]
    parents: list[str]
    chosen: list[str]
    keys: list[Key]


def pages(root: Path = REPOSITORY) -> dict[Path, str]:
    """Return the text of every generated page below `root`."""
    configuration = root / "docs" / "configuration.md"
    return {
        root / "docs" / "options.md": options_page(root / "configs"),
        root / "docs" / "modules.md": modules_page(root / "densepred"),
        configuration: with_tables(configuration.read_text(encoding="utf-8"), root / "configs"),
    }


def options_page(configs: Path) -> str:
    """Return one section per group, in it one row per option."""
    found = sorted(path.name for path in configs.iterdir() if any(path.glob("*.yaml")))
    defaults = yaml.safe_load((configs / "train.yaml").read_text(encoding="utf-8"))["defaults"]
    default = {group: name for entry in defaults if isinstance(entry, dict) for group, name in entry.items()}
    groups = [group for group in GROUPS if group in found] + [group for group in found if group not in GROUPS]
    return "\n".join([HEADER, *(section(configs / group, default.get(group)) for group in groups)])


def modules_page(package: Path) -> str:
    """Return one section per folder of the package, in it one row per module."""
    folders = [package, *sorted(path.parent for path in package.glob("*/**/__init__.py"))]
    sections = []
    for folder in folders:
        about = [] if folder == package else [summary(folder / "__init__.py"), ""]
        rows = [f"| `{path.name}` | {cell([summary(path)])} |" for path in sorted(folder.glob("[!_]*.py"))]
        table = ["| module | holds |", "|---|---|", *rows, ""] if rows else []
        title = "Modules of no room" if folder == package else f"{folder.relative_to(package).as_posix()}/"
        sections.append("\n".join([f"## {title}", "", *about, *table]))
    return "\n".join([MODULES, *sections])


def summary(path: Path) -> str:
    """Return the first paragraph of a module's docstring in one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    code = re.split(r"(`[^`]*`)", " ".join(text.split("\n\n")[0].split()))
    return "".join(part if part.startswith("`") else prose(part) for part in code)


def section(folder: Path, default: str | None) -> str:
    """Return the heading, the sentence and the table of one group."""
    rows = [row(read(path), path.stem == default) for path in sorted(folder.glob("*.yaml"))]
    about = [GROUPS[folder.name], ""] if folder.name in GROUPS else []
    return "\n".join([f"## {folder.name}", "", *about, "| option | what it is | keys |", "|---|---|---|", *rows, ""])


def row(option: Option, default: bool) -> str:
    """Return the table row of an option."""
    title, *more = [line for line in option.header if not line.startswith("test:")]
    about = [prose(title), *(f"`{line}`" if line.startswith("densepred-") else prose(line) for line in more)]
    inherited = f"as {', '.join(f'`{name}`' for name in option.parents)}" if option.parents else ""
    chosen = ", ".join(f"`{word}`" for word in option.chosen)
    keys = [" with ".join(filter(None, (inherited, chosen))), *map(entry, option.keys)]
    return f"| `{option.name}`{'*' if default else ''} | {cell(about)} | {cell(list(filter(None, keys)))} |"


def entry(key: Key) -> str:
    return f"`{key.name}: {key.value}`" + (f" {prose(key.comment)}" if key.comment else "")


def prose(text: str) -> str:
    """Return a comment with its angle brackets shown, not read as HTML, and `[^` not read as a footnote."""
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("[^", "\\[^")


def cell(lines: list[str]) -> str:
    return "<br>".join(lines).replace("|", "\\|")


def with_tables(page: str, configs: Path) -> str:
    """Return the page with the table of each command's plain keys between its two marks replaced."""
    for command in COMMANDS:
        start, end = f"<!-- keys of densepred-{command}, by `make docs` -->\n", "<!-- end of keys -->"
        before, found, rest = page.partition(start)
        assert found, f"docs/configuration.md: no mark {start.strip()}"
        page = f"{before}{start}{plain_keys(configs, command)}{end}{rest.partition(end)[2]}"
    return page


def plain_keys(configs: Path, command: str) -> str:
    """Return the table of a command's plain keys, those of the trainer among them."""
    keys = read(configs / f"{command}.yaml").keys
    if command == "train":
        keys += [key._replace(name=f"trainer.{key.name}") for key in read(configs / "trainer" / "default.yaml").keys]
    rows = [f"| `{key.name}` | `{key.value}` | {cell([prose(key.comment)])} |" for key in keys]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows, ""])


def read(path: Path) -> Option:
    """Read one config file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    header = []
    for line in lines:
        if not line.startswith("#"):
            break
        if "@package" not in line:
            header.append(line.lstrip("# ").strip())
    node = yaml.compose(text)
    keys = list(leaves(node, lines)) if isinstance(node, yaml.MappingNode) else []
    parents, chosen = inherited((yaml.safe_load(text) or {}).get("defaults", []))
    return Option(path.stem, header, parents, chosen, keys)


def inherited(defaults: list[object]) -> tuple[list[str], list[str]]:
    """Return the parents in a defaults list and the choices of other groups as they are typed."""
    parents = [entry for entry in defaults if isinstance(entry, str) and entry != "_self_" and "_schema" not in entry]
    chosen = []
    for mapping in (entry for entry in defaults if isinstance(entry, dict)):
        for key, name in mapping.items():
            found = re.fullmatch(r"(?:override )?/(\w+)(?:@(?:_global_\.)?([\w.]+))?", key)
            if found is not None:
                word = f"{found[1]}={str(name).translate(UNQUOTED)}"
                chosen.append(word if found[2] in (None, found[1]) else f"{found[2]}: {word}")
    return parents, chosen


def leaves(node: yaml.MappingNode, lines: list[str], prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a block mapping in order, those of inner blocks with dotted names."""
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if key.value.startswith("_") or (not prefix and key.value in ("defaults", "hydra")):
            continue
        if isinstance(value, yaml.ScalarNode) or value.flow_style:
            written = source(value, lines)
            if not re.fullmatch(r"\$\{\w+\}", written):
                yield Key(name, written, comment(lines[value.end_mark.line][value.end_mark.column :]))
        elif isinstance(value, yaml.MappingNode):
            yield from leaves(value, lines, f"{name}.")
        else:
            yield from members(value, lines, name)


def members(node: yaml.SequenceNode, lines: list[str], name: str) -> Iterator[Key]:
    """Yield the keys of a block list: one per plain entry, one per transform with its arguments in one line."""
    if not all(isinstance(member, yaml.MappingNode) for member in node.value):
        yield Key(name, "[" + ", ".join(source(member, lines) for member in node.value) + "]", "")
        return
    for index, member in enumerate(node.value):
        target = next((value.value for key, value in member.value if key.value == "_target_"), "")
        arguments = ", ".join(f"{key.name}: {key.value}" for key in leaves(member, lines))
        yield Key(f"{name}.{index}", f"{target.split('.')[-1]}({arguments})", "")


def source(node: yaml.Node, lines: list[str]) -> str:
    """Return a value as it is written in its file."""
    start, end = node.start_mark, node.end_mark
    if start.line == end.line:
        return lines[start.line][start.column : end.column]
    inner = [lines[start.line][start.column :], *lines[start.line + 1 : end.line], lines[end.line][: end.column]]
    return " ".join(line.strip() for line in inner)


def comment(rest: str) -> str:
    """Return the comment in the rest of a line."""
    return rest.partition("# ")[2].strip()


def task_of(path: Path) -> str:
    """Return the task that the file of a model names in its line `# test:`, semantic segmentation without one."""
    found = re.search(r"^# test:.*\btask=(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else "semantic"


def models_without_row() -> list[str]:
    """Return the models that stand in no table of docs/, though there is one for their task."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((REPOSITORY / "docs").glob("*.md")))
    tables = dict(re.findall(r"<!-- models of (\w+),.*?-->\n(.*?)<!-- end of models -->", text, re.DOTALL))
    rows = "".join(tables.values())
    models = sorted((REPOSITORY / "configs" / "model").glob("*.yaml"))
    return [one.stem for one in models if task_of(one) in tables and f"| `{one.stem}` |" not in rows]


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    if models_without_row():  # counting builds every model, which takes half a minute
        subprocess.run([sys.executable, "-m", "scripts.count_parameters"], cwd=REPOSITORY, check=True)
