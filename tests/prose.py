"""Rules of prose: docstrings, comments and documents in the words of the field.

`findings` yields one line per breach. Few exceptions stand beside the rules, each with its reason.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

FRAGMENTS = r"(What|How|Which|Whether|Whose|Who|Of|The same|Such|Those|Nobody)\b"
"""Words that begin a fragment rather than a sentence or a noun phrase."""

UNITS = (
    "channel|image|class|instance|keypoint|pixel|step|batch|head|level|sample|person|box|row|line|epoch|second|process"
)
COUNTED = (
    "row|value|number|colour|mean|weight|line|scalar|map|matrix|entry|score|list|mask|file|folder|table|prediction"
)
AVOID = {
    r"(nobody|whose|lest|but for)": "say it with if, when, except",
    r"(judges?|judged|judging|foretells?|by heart)": "evaluate, score, predict, overfit",
    r"(says|is told|are told|is shown|are shown what)": "name what is passed or returned",
    r"the truth": "ground truth",
    r"put together": "merge, stitch, build",
    r"(centres?|centred)": "center, centered",
    r"strides? traded": "dilation instead of stride",
    rf"(an?|one|the) ({COUNTED})s? (an?|each) ({UNITS})": "per X",
    rf"(pixels|images|samples|values|numbers|steps|batches|crops|bytes|seconds|points) an? ({UNITS})": "per X",
}

ANY = re.compile(rf"\b(?:{'|'.join(AVOID)})\b", re.IGNORECASE)

WORDS = 25
"""The most words of a sentence. A colon and a semicolon end one too; code, links and quotations count as one word."""

QUOTES = re.compile(r"`[^`]*`|\"[^\"]*\"|```.*?```", re.DOTALL)
"""Code and quotations are not prose of ours."""


def findings(path: Path) -> Iterator[str]:
    """Yield `line: sentence: remedy` for each breach in a Python, YAML or Markdown file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        nodes = list(ast.walk(ast.parse(text)))
        strings = docstrings(nodes)
        for line, docstring in strings:
            if found := re.match(FRAGMENTS, docstring):
                yield f"{line}: a docstring begins with {found[0]!r}: begin with an imperative verb or a noun phrase"
        passages = [*strings, *comments(text), *messages(nodes), *test_names(nodes)]
    elif path.suffix == ".yaml":
        passages = [(n, line.partition("# ")[2]) for n, line in enumerate(text.splitlines(), 1) if "# " in line]
    else:
        passages = [(1, re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), text, flags=re.DOTALL))]
    for line, passage in passages:
        if not ANY.search(passage):
            continue
        prose = QUOTES.sub(lambda quoted: "`" + "\n" * quoted[0].count("\n") + "`", passage)
        for pattern, remedy in AVOID.items():
            for found in re.finditer(rf"\b{pattern}\b", prose, re.IGNORECASE):
                yield f"{line + prose[: found.start()].count(chr(10))}: {' '.join(found[0].split())!r}: {remedy}"


def long_sentences(path: Path) -> Iterator[str]:
    """Yield a line for each sentence of more than WORDS words; tables, headings and formulas are no sentences."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        whole = [*docstrings(ast.walk(ast.parse(text))), *blocks(text)]
    else:
        prose = re.sub(r"```.*?```", lambda block: "\n" * block[0].count("\n"), text, flags=re.DOTALL)
        whole = [(1, re.sub(r"^ {4}.*$", "", prose, flags=re.MULTILINE))] if path.suffix == ".md" else []
    for line, passage in whole:
        quoted = QUOTES.sub(lambda code: "code" + "\n" * code[0].count("\n"), passage)
        prose = re.sub(r"\[([^\]]*)\]\([^)]*\)", lambda link: "link" + "\n" * link[0].count("\n"), quoted)
        at = line
        for part in re.split(r"((?<=[.?!:;])\s+|\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.)))", prose):
            count = len([word for word in part.split() if re.search(r"\w", word)])
            if count > WORDS and not re.search(r"^\s*#|[|]|<br>", part):
                yield f"{at}: {count} words, {' '.join(part.split())[:60]!r}...: at most {WORDS} per sentence"
            at += part.count("\n")


def blocks(text: str) -> list[tuple[int, str]]:
    """Return (line, text) of comments that have lines of their own, those on consecutive lines joined."""
    joined: list[tuple[int, str]] = []
    for line, words in enumerate(text.splitlines(), 1):
        if not words.lstrip().startswith("# "):
            continue
        remark = words.lstrip(" #")
        if joined and line == joined[-1][0] + joined[-1][1].count("\n") + 1:
            joined[-1] = (joined[-1][0], f"{joined[-1][1]}\n{remark}")
        else:
            joined.append((line, remark))
    return joined


def docstrings(nodes: Iterable[ast.AST]) -> list[tuple[int, str]]:
    """Return (line, text) of every docstring, those behind assignments included."""
    return [
        (node.lineno, node.value.value)
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


def comments(text: str) -> list[tuple[int, str]]:
    """Return (line, text) of every comment."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [(token.start[0], token.string.lstrip("# ")) for token in tokens if token.type == tokenize.COMMENT]


def test_names(nodes: Iterable[ast.AST]) -> list[tuple[int, str]]:
    """Return (line, sentence) of every test: its name is a sentence."""
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    return [(node.lineno, node.name[5:].replace("_", " ")) for node in functions if node.name.startswith("test_")]


def messages(nodes: Iterable[ast.AST]) -> list[tuple[int, str]]:
    """Return (line, text) of every sentence handed to an exception, a warning or the log; `{}` stands for values."""
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    spoken = [call for call in calls if re.search(r"(Error|warn|say|note|print)$", _name(call.func))]
    return [(call.lineno, _words(argument)) for call in spoken for argument in call.args]


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _words(node: ast.expr) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


if __name__ == "__main__":  # python -m tests.prose FILE_OR_FOLDER ...
    for place in map(Path, sys.argv[1:]):
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in (".py", ".yaml", ".md"):
                for finding in (*findings(path), *long_sentences(path)):
                    print(f"{path}:{finding}")
