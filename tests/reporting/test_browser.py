"""The page in a browser: its table sorts, its charts switch, and nothing goes wrong on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.commands import report
from tests import browser
from tests.conftest import composed
from tests.reporting.test_report import draw

ACTIONS = """
const order = () => [...document.querySelectorAll("#runs tbody tr")].map(row => row.cells[0].textContent.trim());
const head = name => [...document.querySelectorAll("#runs th button")].find(one => one.textContent === name);
const visible = key => [...document.querySelectorAll(`[data-of=${key}]`)].map(part => part.getClientRects().length > 0);
result.start = order();
head("score").click(); result.falling = order();
head("score").click(); result.rising = order();
head("run").click(); result.names = order();
result.before = visible("curves");
const menu = document.querySelector("select[data-section=curves]");
menu.value = "1"; menu.dispatchEvent(new Event("change"));
result.after = visible("curves");
const gallery = document.querySelector("select[data-section=worst]");
gallery.value = "1"; gallery.dispatchEvent(new Event("change"));
const shown = [...document.querySelectorAll("[data-of=worst]")].filter(part => part.getClientRects().length);
result.shown = shown.flatMap(part => [...part.querySelectorAll("td:first-child")].map(cell => cell.textContent.trim()));
const pictures = shown.flatMap(part => [...part.querySelectorAll("img")]);
result.pictures = pictures.map(image => [image.naturalWidth, image.width < window.innerWidth, image.alt]);
result.wide = document.documentElement.scrollWidth - window.innerWidth;
"""


@pytest.mark.slow
@browser.needed
def test_a_browser_sorts_the_table_and_switches_charts_and_pictures(tmp_path: Path) -> None:
    for name, score in (("b", 0.9), ("a", 0.6), ("c", 0.75)):
        draw(tmp_path, name, score, f"loss={name}")
    words = (f"runs={tmp_path / 'runs'}", f"evaluations={tmp_path / 'evaluations'}", f"output={tmp_path / 'out'}")
    assert report.report(composed(*words, name="report")) == 0
    result = browser.result(tmp_path / "out" / "index.html", ACTIONS, tmp_path / "profile")
    assert result["start"] == ["b", "c", "a"]
    assert result["falling"] == ["b", "c", "a"]
    assert result["rising"] == ["a", "c", "b"]
    assert result["names"] == ["c", "b", "a"]
    assert result["before"] == [True, False]
    assert result["after"] == [False, True]
    assert result["shown"] == [f"{number}.png" for number in range(6)]
    alt = "0.png: miou 0.7500: image, ground truth, prediction and errors"
    assert result["pictures"][0] == [1000, True, alt]
    assert len(result["pictures"]) == 2
    assert result["wide"] <= 0  # no sideways scrolling of the page on a narrow screen
