"""The website of the documents holds every page, and builds without a warning."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, REPOSITORY

SITE = REPOSITORY / "docs" / "site"


def test_every_page_stands_once_in_the_sidebar() -> None:
    sidebar = runpy.run_path(str(SITE / "conf.py"))["SIDEBAR"]
    listed = [page for pages in sidebar.values() for page in pages]
    sources = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *SITE.glob("*.rst")]
    present = {path.relative_to(REPOSITORY).with_suffix("").as_posix() for path in sources} - {"docs/index"}
    assert sorted(listed) == sorted(present)


def test_the_front_page_leads_to_every_document() -> None:
    front = (REPOSITORY / "docs" / "index.md").read_text(encoding="utf-8")
    assert [path.name for path in (REPOSITORY / "docs").glob("*.md") if f"({path.name}" not in front] == ["index.md"]


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Links and anchors that lead nowhere, pages outside the sidebar and docstrings out of form are warnings."""
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    words = ["--fail-on-warning", "--keep-going", "-c", str(SITE), str(REPOSITORY), str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "sphinx", *words], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "densepred.api.train" in (tmp_path / "docs" / "site" / "api.html").read_text(encoding="utf-8")
    assert 'url=docs/index.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")
