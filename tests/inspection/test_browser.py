"""The page of a check in a browser: pictures and charts are drawn, and nothing goes wrong on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests import browser
from tests.inspection.drawn import check, draw

SHOWN = """
const images = [...document.querySelectorAll("figure img")];
result.pictures = images.map(image => [image.naturalWidth, image.alt]);
result.bars = [...document.querySelectorAll(".bar")].map(bar => Math.round(bar.getBoundingClientRect().width));
result.swatches = [...document.querySelectorAll(".swatch")].map(one => getComputedStyle(one).backgroundColor);
const files = document.querySelector("details");
files.querySelector("summary").click();
result.files = files.open && files.querySelector("li").getClientRects().length > 0;
result.wide = document.documentElement.scrollWidth - window.innerWidth;
"""


@pytest.mark.slow
@browser.needed
def test_a_browser_shows_thumbnails_and_bars_of_a_check(tmp_path: Path) -> None:
    draw(tmp_path)
    with Image.open(tmp_path / "images/train/2.png") as image:
        image.save(tmp_path / "images/val/1.png")
    assert check(tmp_path, "html=report.html")[0] == 0
    result = browser.result(tmp_path / "report.html", SHOWN, tmp_path / "profile")
    assert [64, "1"] in result["pictures"]
    assert result["bars"][0] == result["bars"][1] > 100  # two classes of equal share in two splits
    assert min(result["bars"]) >= 1
    assert result["swatches"][0] == "rgb(0, 0, 0)"
    assert len(set(result["swatches"])) == 2
    assert result["files"]
    assert result["wide"] <= 0  # no sideways scrolling of the page on a narrow screen
