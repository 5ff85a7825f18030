"""What README and docs say of options is complete, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
DESCRIBED = ("task", "model", "encoder", "decoder", "upsample", "loss", "metric", "optimizer", "scheduler")
"""Groups whose keys docs/configuration.md lists."""


def options(group: str) -> set[str]:
    return {path.stem for path in (REPOSITORY / "configs" / group).glob("*.yaml")}


@pytest.mark.parametrize("group", sorted(path.name for path in (REPOSITORY / "configs").iterdir() if path.is_dir()))
def test_the_readme_names_every_option(group: str) -> None:
    if not options(group):
        pytest.skip("no group of options")
    (row,) = re.findall(rf"^\| `{group}` \| (.*) \|$", (REPOSITORY / "README.md").read_text(), re.M)
    spans = {
        f"{a}{i}" for a, n, m in re.findall(r"`([a-z_]+?)(\d)` to `\1(\d)`", row) for i in range(int(n), int(m) + 1)
    }
    assert options(group) <= spans | set(re.findall(r"`(\w+)`", row))


@pytest.mark.parametrize("group", DESCRIBED)
def test_the_keys_of_every_option_are_listed(group: str) -> None:
    rows = re.findall(rf"^\| `{group}=(.*?) \|", (REPOSITORY / "docs" / "configuration.md").read_text(), re.M)
    assert {word for row in rows for word in re.findall(r"\w+", row)} >= options(group)


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
