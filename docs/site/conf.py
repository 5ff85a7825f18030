"""The documentation as a website, by Sphinx: `make site`.

Sources are README.md and docs/*.md as they are, so that each page reads the same in a browser of repositories. The
sidebar and the pages of `docs/site/` (signatures and docstrings, by autodoc) are all that the site adds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

START = ("tutorial", "recipes", "hardware", "coming_from", "faq")
TASKS = ("semantic", "instances", "panoptic", "detection", "pose", "openpose", "autoencoder")
GUIDES = ("data", "check", "convert", "checkpoints", "weights", "sweeps", "reports", "deploy", "video", "python")
GUIDES += ("clusters", "performance", "growth")
REFERENCE = ("configuration", "options", "metrics", "results", "reliability", "architecture", "modules")
REFERENCE += ("own_components",)
MODULES = ("api", "predictor", "types", "contracts")
LECTURE = ("glossary", "levels", "models", "losses", "upsampling")
SIDEBAR = {
    "Start": ["README", *(f"docs/{page}" for page in START)],
    "Tasks": [f"docs/{page}" for page in TASKS],
    "Guides": [f"docs/{page}" for page in GUIDES],
    "Reference": [
        *(f"docs/{page}" for page in REFERENCE),
        *(f"docs/site/{module}" for module in MODULES),
        *("CONTRIBUTING", "CHANGELOG", "SECURITY"),
    ],
    "Lecture": [f"docs/{page}" for page in LECTURE],
}
"""Sections of the sidebar with their pages; `tests/test_site.py` finds a page that is in none."""
TITLES = {"README": "Overview"}
"""Titles in the sidebar of pages with another heading."""

project = "densepred"
copyright = "the densepred authors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["docs/index.md", *(f"{page}.*" for pages in SIDEBAR.values() for page in pages)]
exclude_patterns = [".*", "build", "runs", "docs/*.ipynb"]
html_theme = "furo"
html_title = "densepred"
html_static_path, html_css_files = ["static"], ["site.css"]
html_extra_path = ["index.html"]  # the site's root leads to docs/index.html
myst_heading_anchors = 4  # the anchors of GitHub
highlight_language = "text"  # of blocks without a language: commands and folders, no Python
default_role = "literal"  # docstrings write code in single backticks
autodoc_inherit_docstrings = False  # no text of torch or the standard library
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "undoc-members": True, "show-inheritance": True}


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_sidebar)


def add_sidebar(app: Sphinx, page: str, source: list[str]) -> None:
    """Append the sidebar to the front page, where Sphinx looks for it; the file itself has none."""
    if page != root_doc:
        return
    for section, pages in SIDEBAR.items():
        entries = "\n".join(f"{TITLES[one]} </{one}>" if one in TITLES else f"/{one}" for one in pages)
        source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {section}\n\n{entries}\n```\n"
