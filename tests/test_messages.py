"""All messages that end a command with exit code 2: each names a file or a key, and the remedy.

The messages are read from the source: every UserError that is made, and every sentence that the checks of settings
return. A file or key is a word of the configuration, an option (`--x`), an environment variable or the name of a file.
A placeholder counts if its variable holds one of these (NAMES). A remedy is an imperative (VERBS) at the beginning of a
clause, or a placeholder for one (REMEDIES).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from densepred import errors

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("densepred", "hydra_plugins")
CHECKS = ("densepred/cli/", "densepred/build/")
"""Folders of functions that return or yield sentences of the form "key: fact; remedy" for a UserError."""

NAMES = (
    r"(?<![a-z])(above|alone|at|described|error\.override|fact|files?|flag|folder|found|frame\.id|group|here|_?images|key|KEY|kind|option|"
    r"path|peeked|picture|place|run|section|source|text|tried|used|what|where|word)\b"
)
VERBS = (
    "add|apply|average|call|change|check|choose|close|complete|convert|copy|correct|derive|divide|download|draw|drop|enlarge|"
    "evaluate|export|extract|fetch|free|freeze|give|go|install|keep|label|leave|list|look|lower|make|map|mend|merge|multiply|"
    "name|number|paint|predict|put|raise|remove|rename|repair|replace|resize|restore|return|save|scale|see|set|shorten|"
    "start|stop|take|train|try|type|update|use|wait|write"
)
REMEDIES = (
    r"\b(remedy|hint|guess|otherwise|known|lost|meant|go_on|kind|EXPORTED|suggest|_absent|_not_a_run|"
    r"_section)\b"
)

COMPLETED = {
    "densepred/rundir/schema.py": "facts about a state: rundir/folder.py puts the checkpoint before, the remedy behind",
    "densepred/rundir/state.py": "as schema.py",
    "densepred/rundir/progress.py": "as schema.py",
    "densepred/rundir/checkpoints.py": "why a checkpoint is passed over: a warning names the older one that is taken",
    "densepred/conversion/cvat.py": "an object of a prediction, which is named by its class",
    "densepred/hub/download.py": "why a download failed: `_ensure` adds where to put the file",
    "densepred/hub/zoo.py": "the name of published weights, which is the value of ckpt, input or weights.*",
    "densepred/api.py": "the last warning of a run that failed, or its log",
    "densepred/results/video.py": "PyAV is missing: a package and its command, no file or key",
    "densepred/exporting/convert.py": "a package is missing, as in video.py",
    "densepred/types.py": "a field that a component asked for and did not declare: for the author of the component",
}
"""Modules with messages that are whole only elsewhere, and why; each of them holds at least one."""


class Message(NamedTuple):
    module: str
    line: int
    text: str  # placeholders in braces, as in the source
    within: str  # the exception that is being handled where it is raised, "" for none


@cache
def _sources() -> dict[str, str]:
    paths = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@cache
def _errors() -> frozenset[str]:
    """Return the names of UserError and all classes below it."""
    pairs = [
        pair for source in _sources().values() for pair in re.findall(r"^class (\w+)\((\w+)\):", source, re.MULTILINE)
    ]
    found, before = {"UserError"}, 0
    while len(found) > before:
        before = len(found)
        found.update(name for name, above in pairs if above in found)
    return frozenset(found)


@cache
def _constants() -> dict[str, str]:
    """Return the texts of constants of modules, which messages share."""
    named = re.compile(r"^([A-Z_]+) = \(?\s*f?[\"']", re.MULTILINE)
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for source in _sources().values()
        if named.search(source)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
    }


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(map(_text, node.values))
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    source = ast.unparse(node.value if isinstance(node, ast.FormattedValue) else node)
    constant = re.match(r"(?:\w+\.)?([A-Z_]+)\b", source)
    return _constants().get(constant[1] if constant else "", f"{{{source}}}")


def _found(node: ast.AST, module: str, within: str = "") -> Iterator[Message]:
    if isinstance(node, ast.ExceptHandler) and node.type is not None:
        within = ast.unparse(node.type)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _errors():
        yield Message(module, node.lineno, _text(node.args[0]), within)
    if isinstance(node, ast.Return | ast.Yield) and module.startswith(CHECKS) and isinstance(node.value, ast.JoinedStr):
        text = _text(node.value)
        if re.match(r"\S+: .*; ", text):
            yield Message(module, node.lineno, text, within)
    for child in ast.iter_child_nodes(node):
        yield from _found(child, module, within)


@cache
def messages() -> tuple[Message, ...]:
    made = re.compile(rf"\b({'|'.join(_errors())})\(")
    return tuple(
        message
        for module, source in _sources().items()
        if made.search(source) or module.startswith(CHECKS)
        for message in _found(ast.parse(source), module)
    )


@cache
def _keys() -> str:
    """Return a pattern for the groups and the first words of keys of all commands."""
    commands = (path.read_text(encoding="utf-8") for path in (ROOT / "configs").glob("*.yaml"))
    keys = {key for text in commands for key in re.findall(r"^(\w+):", text, re.MULTILINE)}
    return "|".join(sorted(keys | {path.name for path in (ROOT / "configs").iterdir() if path.is_dir()}))


HOLE = re.compile(r"\{((?:[^{}]|\{[^{}]*\})*)\}")


def holes(text: str) -> list[str]:
    return HOLE.findall(text)


def names_place(message: Message) -> bool:
    """Look for a file or a key."""
    own = Path(message.module).stem
    literal = (
        rf"\b({_keys()})(=|\.[a-z_{{]|:)",  # trainer.clip, input=
        rf"^({_keys()}|info|image|{own})\b",  # a key, a component, or an argument of Python begins the message
        r"--[a-z]",
        r"\b[A-Z]+_[A-Z_]+\b",  # SLURM_JOB_NODELIST
        r"\w\.(json|jsonl|yaml|txt|log|csv|safetensors)\b",
        r"/dev/\w",
    )
    return any(re.search(one, message.text) for one in literal) or any(
        re.search(NAMES, hole) for hole in holes(message.text)
    )


def names_remedy(message: Message) -> bool:
    """Look for an imperative, or for a placeholder that brings one."""
    plain = HOLE.sub("X", message.text)
    clauses = [clause.strip() for clause in re.split(r"[;:,(]| or | and | so |\. ", plain)]
    opening = rf"(if .*? |or |and |please )?({VERBS})\b"
    given = any(re.search(REMEDIES, hole) for hole in holes(message.text))
    return given or any(re.match(opening, clause, re.IGNORECASE) for clause in clauses)


def passes_on(message: Message) -> bool:
    """Recognise a whole message that was made elsewhere, and one that puts its own key before another's message."""
    whole = re.fullmatch(r"\{.*\}", message.text) is not None and len(holes(message.text)) <= 1
    handled = message.within and all(name in _errors() for name in re.findall(r"\w+", message.within))
    return whole or bool(handled and any("error" in hole for hole in holes(message.text)))


def problem(message: Message) -> str | None:
    if passes_on(message):
        return None
    missing = [*([] if names_place(message) else ["file or key"]), *([] if names_remedy(message) else ["remedy"])]
    return f"{message.module}:{message.line} has no {' and no '.join(missing)}: {message.text}" if missing else None


def test_every_message_names_a_file_or_key_and_a_remedy() -> None:
    assert len(messages()) > 700
    wrong = [found for message in messages() if (found := problem(message)) and message.module not in COMPLETED]
    assert wrong == []


def test_no_exception_is_left_over() -> None:
    needed = {message.module for message in messages() if problem(message)}
    assert set(COMPLETED) <= needed


@pytest.mark.parametrize(
    "remedy", [*errors.SYSTEM.values(), errors.MEMORY, errors.PEER, *(r[2] for r in errors.RUNTIME)]
)
def test_failures_of_the_machine_name_a_remedy(remedy: str) -> None:
    assert names_remedy(Message("densepred/errors.py", 0, remedy, ""))


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("trainer.clip: {clip}; give a number above 0", None),
        ("{path}: is empty; replace it", None),
        ("{path}: is empty", "remedy"),
        ("{path}: {error}", "remedy"),
        ("the value {value} is wrong; correct it", "file or key"),
        ("something failed", "file or key and no remedy"),
        ("trainer.clip: a number above 0 is needed", "remedy"),
    ],
)
def test_the_rule_itself(text: str, missing: str | None) -> None:
    found = problem(Message("densepred/x.py", 1, text, ""))
    assert found is None if missing is None else found is not None and f"has no {missing}:" in found
