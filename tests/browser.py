"""A page in a headless browser: the results of a script on it, and the messages of the console."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import PATIENCE

FOUND = next((path for name in ("chromium", "google-chrome", "chromium-browser") if (path := shutil.which(name))), None)
needed = pytest.mark.skipif(
    FOUND is None, reason="no Chromium or Chrome in PATH; install one, such as Debian's chromium"
)


def result(page: Path, script: str, profile: Path) -> dict[str, Any]:
    """Open a page on a screen of 500 x 800; return the fields that `script` sets of `result` once it has loaded.

    Fails if the console has a message. The page is changed: the script is added to it.
    """
    assert FOUND is not None
    added = (
        f'<script>window.addEventListener("load", () => {{const result = {{}};\n{script}\n'
        'const out = document.createElement("pre"); out.id = "result"; out.textContent = JSON.stringify(result);\n'
        "document.body.append(out);});</script>"
    )
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{added}</body>"), encoding="utf-8")
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--window-size=500,800"]
    done = subprocess.run(
        [FOUND, *words, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    found = re.search(r'<pre id="result">(.*?)</pre>', done.stdout)
    assert found is not None
    return json.loads(html.unescape(found[1]))
