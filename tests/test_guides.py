"""Guides for newcomers name keys, options, messages and commands that exist."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from scripts import count_parameters, write_reference
from tests import forked
from tests.conftest import REPOSITORY, composed

DOCS = REPOSITORY / "docs"
CONFIGS = REPOSITORY / "configs"
COMMAND = re.compile(r"densepred-(\w+)((?:[^\n#]*\\\n)*[^\n#]*)")


def page(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def commands(text: str) -> list[tuple[str, list[str]]]:
    """Return the commands in a page's blocks as (command, words)."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.M | re.S)
    found = [match for block in blocks for match in COMMAND.finditer(block)]
    return [(match[1], shlex.split(match[2].replace("\\\n", " "))) for match in found]


@cache
def keys() -> frozenset[str]:
    """Return every key that a command or an option lists."""
    plain = {key.name for one in write_reference.COMMANDS for key in write_reference.read(CONFIGS / f"{one}.yaml").keys}
    grouped = {
        f"{path.parent.name}.{key.name}" for path in CONFIGS.glob("*/*.yaml") for key in write_reference.read(path).keys
    }
    return frozenset(plain | grouped | {"hydra.run.dir"})


def unknown(word: str) -> bool:
    """Tell if an override chooses an option, or sets a key, that no config file has."""
    name, _, value = word.partition("=")
    if (CONFIGS / name).is_dir():
        chosen = value.strip("[]").split(",")
        return name != "experiment" and not all((CONFIGS / name / f"{one}.yaml").is_file() for one in chosen)
    stem = name.removeprefix("codec.") if name.startswith("codec.") else name
    listed = keys() if stem == name else {key.partition("codec.")[2] for key in keys()}
    return not any(key == stem or key.startswith(f"{stem}.") or stem.startswith(f"{key}.") for key in listed)


def test_our_column_of_other_programs_names_what_exists() -> None:
    rows = re.findall(r"^\| .* \| (.*) \|$", page("coming_from"), re.M)
    words = [word for row in rows for code in re.findall(r"`([^`]+)`", row) for word in shlex.split(code)]
    overrides = [word for word in words if re.match(r"[a-z_.]+=", word)]
    assert len(overrides) > 80
    assert [word for word in overrides if unknown(word)] == []
    assert unknown("trainer.max_epochs=3")
    assert unknown("loss=cross_entropy")


def test_messages_of_the_faq_are_those_of_the_source() -> None:
    table = page("faq").partition("## Messages")[2]
    quoted = [part for row in re.findall(r"^\| (`.*?) \|", table, re.M) for part in re.findall(r"`([^`]+)`", row)]
    assert len(quoted) > 25
    files = (REPOSITORY / "densepred").rglob("*.py")
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    said = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert [text for text in quoted if not any(text in one for one in said)] == []


@pytest.mark.parametrize("name", ["hardware", "tutorial"])
def test_keys_in_commands_exist(name: str) -> None:
    found = commands(page(name))
    assert len(found) > 5
    words = [word for _, words in found for word in words if "=" in word]
    assert [word for word in words if unknown(word)] == []


@pytest.mark.slow
@pytest.mark.parametrize("number", range(6))
def test_commands_by_hardware_compose(number: int) -> None:
    command, words = commands(page("hardware"))[number]
    assert command == "train"
    composed(*(word for word in words if not word.startswith("trainer.resume")))


@pytest.mark.slow
def test_every_command_of_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainings are cut to two steps, on random weights: the network is of no concern here."""
    pytest.importorskip("onnxruntime")
    short = ["trainer.max_steps=2", "encoder.pretrained=false", "data.workers=0"]
    for command, words in commands(page("tutorial")):
        more = short if command == "train" else ["data.workers=0"] if command == "eval" else []
        kept = [word for word in words if not word.startswith("trainer.max_steps")]
        code, out, err = forked.run(command, *kept, *more, folder=tmp_path)
        assert code == 0, (command, words, out, err)
    for made in ("runs/fpn/best.safetensors", "report/index.html", "predictions/overlays", "model.onnx", "from_onnx"):
        assert (tmp_path / made).exists(), made
    program = re.findall(r"^```python\n(.*?)^```", page("tutorial"), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec("\n".join(program), {})
    assert (tmp_path / "first.png").is_file()


@pytest.mark.parametrize("name", ["README.md", *(f"docs/{path.name}" for path in DOCS.glob("*.md"))])
def test_pictures_are_small_and_described(name: str) -> None:
    """A picture is below 60 kB, all together below 400 kB, and each has a text for those who do not see it."""
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    for described, target in re.findall(r"!\[(.*?)\]\(([^)]+)\)", text):
        assert len(described) > 10, target
        assert (REPOSITORY / name).parent.joinpath(target).stat().st_size < 60_000
    assert sum(path.stat().st_size for path in (DOCS / "pictures").iterdir()) < 400_000


def test_every_model_belongs_to_the_table_of_a_task() -> None:
    listed = {model for one in count_parameters.PAGES.values() for model in count_parameters.models(one)}
    options = {path.stem for path in (CONFIGS / "model").glob("*.yaml")}
    assert options - listed == {"center_detection"}  # of the other task on the page of detection


def test_every_model_has_a_row_in_the_table_of_its_task() -> None:
    assert write_reference.models_without_row() == [], "run make docs"


@pytest.mark.parametrize(("name", "model"), [("semantic", "unet"), ("autoencoder", "pca")])
def test_a_row_of_models_is_what_the_script_writes(name: str, model: str) -> None:
    assert count_parameters.row(count_parameters.PAGES[name].task, model) in page(name).splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(count_parameters.PAGES))
def test_tables_of_models_are_what_the_script_writes(name: str) -> None:
    assert count_parameters.with_table(name, page(name)) == page(name), "run python -m scripts.count_parameters"


@pytest.mark.parametrize("name", sorted(count_parameters.PAGES))
def test_pages_of_tasks_have_one_skeleton(name: str) -> None:
    text = page(name)
    places = [
        text.index(part) for part in ("](pictures/", "\n```\n", "| data |", "| metrics |", "| predict |", "| export |")
    ]
    places += [text.index(part) for part in ("<!-- models of", "<!-- end of models -->", "\n## Questions\n")]
    assert places == sorted(places)
