"""Generated pages are up to date, links and anchors exist."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from scripts import write_reference
from tests import code_names
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def test_generated_pages_are_what_make_docs_writes() -> None:
    stale = [path.name for path, text in write_reference.pages().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, f"{stale}: run `make docs`"


def test_the_reference_describes_every_option_and_key(tmp_path: Path) -> None:
    """A new option appears with its sentence, its keys and their comments; the lines for tests do not."""
    configs = tmp_path / "configs"
    shutil.copytree(REPOSITORY / "configs", configs)
    (configs / "loss" / "mine.yaml").write_text(
        "# Mine | Yours <2020>\n# test: task=pose\n_target_: mine.Mine\na: [1, 2] # pairs\nb:\n  c: ${data.crop}\n"
    )
    page = write_reference.options_page(configs)
    row = "| `mine` | Mine \\| Yours &lt;2020&gt; | `a: [1, 2]` pairs<br>`b.c: ${data.crop}` |"
    assert row in page.partition("## loss")[2].partition("## metric")[0].splitlines()


@pytest.mark.parametrize("group", sorted(path.name for path in (REPOSITORY / "configs").iterdir() if path.is_dir()))
def test_the_readme_leads_to_every_group(group: str) -> None:
    if any((REPOSITORY / "configs" / group).glob("*.yaml")):
        assert f"[`{group}`](docs/options.md#{group})" in (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


def test_the_modules_that_contributing_leads_to_exist() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("### I look for ...")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", table)
    assert len(named) > 20
    missing = [name for name in named if not (REPOSITORY / "densepred" / name).exists()]
    assert [name for name in missing if not (REPOSITORY / name).exists()] == []


def test_the_table_of_modules_is_complete() -> None:
    """docs/modules.md has every module; the table of rooms those of each room that holds no options."""
    package = REPOSITORY / "densepred"
    page = (REPOSITORY / "docs" / "modules.md").read_text(encoding="utf-8")
    listed = {Path(title.removeprefix("Modules of no room")) / name for title, name in rows_of(page)}
    assert listed == {path.relative_to(package) for path in package.rglob("[!_]*.py")}
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    for room, row in re.findall(r"^\| `(\w+)/` \| (.*) \|$", text.partition("## Where things are")[2], re.MULTILINE):
        present = {path.stem for path in (package / room).glob("[!_]*.py")}
        named = set(re.findall(r"`([a-z]\w*)`", row))
        assert named <= present, f"{room}: no module"
        assert present <= named or (REPOSITORY / "configs" / room).is_dir() or room in ("ops", "codec"), room


def rows_of(page: str) -> list[tuple[str, str]]:
    """Return the heading and the first cell of each row of a generated page."""
    sections = re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return [(title, name) for title, body in sections for name in re.findall(r"^\| `(.*?)` \|", body, re.MULTILINE)]


def test_names_of_code_in_prose_exist() -> None:
    """Docs, docstrings and comments: `ops.boxes.edges.clip`, `engine/trainer.py`."""
    folders = ("configs/**/*.yaml", "densepred/**/*.py", "hydra_plugins/*.py", "scripts/*.py", "tests/**/*.py")
    files = [*PAGES, *(path for pattern in folders for path in sorted(REPOSITORY.glob(pattern)))]
    old = {"CHANGELOG.md"}  # it tells of names as they were
    assert [f"{path.name}:{name}" for path in files if path.name not in old for name in code_names.dead(path)] == []


def test_a_name_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    good = ("types.Info.sigmas", "engine/trainer.py", "decoder.width", "nn.Sequential", "nn.choose(a, b)")
    page.write_text("\n".join(f"`{name}`" for name in good))
    assert list(code_names.dead(page)) == []
    bad = ("types.Info.sigma", "engine/train.py", "decoder.fpn.Fpn", "ops.boxes.edge", "densepred.nn.chose()")
    page.write_text("\n".join(f"`{name}`" for name in bad))
    assert sorted(int(line.split(": ")[0]) for line in code_names.dead(page)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_quoted_for_every_shell(page: Path) -> None:
    """Outside of quotes zsh, the shell of macOS, refuses brackets and question marks that fit no file."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    lines += re.findall(r"`(densepred-[^`\n]+)`", text)
    commands = [re.split(r"\s{2,}|\s#", line)[0] for line in lines if line.startswith("densepred-")]
    unquoted = [re.sub(r"'[^']*'|\"[^\"]*\"", "", command) for command in commands]
    assert [command for command in unquoted if re.search(r"[\[\]{}*?();&!]", command)] == []


HAND_WRITTEN = [page for page in PAGES if page.name != "options.md"]
"""Its lines are comments of YAML files, where nothing is typed into a shell."""


@pytest.mark.parametrize("page", HAND_WRITTEN, ids=lambda page: page.name)
def test_overrides_in_sentences_are_quoted_for_every_shell(page: Path) -> None:
    """Newcomers copy them from a sentence too; it may go on in the next line."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    words = [re.sub(r"'[^']*'|\"[^\"]*\"", "", " ".join(code.split())) for code in re.findall(r"`([^`]+)`", text)]
    words = [word for word in words if not re.match(r"# test:|[\w.]+\(", word)]
    assert [word for word in words if re.search(r"[\w.]+=[\[{]", word) and word != "thresholds=[]"] == []


def test_the_tests_that_show_reliability_exist() -> None:
    page = (REPOSITORY / "docs/reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page)
    assert len(named) > 40
    for file, test in named:
        assert f"def {test}" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_every_case_of_the_battery_has_a_row_with_a_test() -> None:
    rows = (REPOSITORY / "docs/reliability.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows if re.match(r"\| [FGS]\d", row)]
    shown = {case: row[-1] for row in cells for case in row[0].split(", ")}
    cases = [f"F{number:02}" for number in range(1, 68)]
    cases += [f"{kind}{number}" for kind, last in (("G", 17), ("S", 5)) for number in range(1, last + 1)]
    assert [case for case in cases if case not in shown] == []
    without = {case for case, test in shown.items() if "tests/" not in test and "make test-floors" not in test}
    assert without == {"G14", "G17"}  # measured by hand, and not measured


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name) if name else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_pattern_is_read_as_a_footnote(page: Path) -> None:
    """`[^` begins a footnote outside of code, as in regular expressions of comments."""
    text = re.sub(r"^```.*?^```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    assert re.findall(r".{0,30}(?<!\\)\[\^.{0,20}", text) == []
