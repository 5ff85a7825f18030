"""Floors and caps: try the oldest and the newest versions that pyproject.toml allows, each in a fresh environment.

`make test-floors` installs them from the registry that pip is configured for, trains, evaluates and predicts once, and
runs a selection of tests. The working tree is only read. Exit code 1 when an environment fails or cannot be had.

    python scripts/floors_check.py lowest newest
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("pytest>=8", "pytest-xdist", "hypothesis", "psutil", "torchmetrics")
TESTS = (
    "tests/cli",
    "tests/build",
    "tests/encoder",
    "tests/metric",
    "tests/test_predictor.py",
    "tests/weights/test_file.py",
)
SMALL = (
    "encoder.widths=[4,8]",
    "dataset.size=[24,32]",
    "dataset.counts={train: 4, valid: 2, test: 2}",
    "data.workers=0",
)


def requirements(kind: str) -> list[str]:
    """Return the dependencies; for "lowest", with every floor as the only version allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if kind == "newest":
        return project["dependencies"]
    return [re.sub(r">=([^,]+).*", r"==\1", entry) for entry in project["dependencies"]]


def installed(kind: str, folder: Path) -> Path:
    """Return the interpreter of a fresh environment with these versions."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    words = [str(python), "-m", "pip", "install", "--quiet", "--upgrade", *requirements(kind), *EXTRAS]
    subprocess.run(words, check=True)
    names = [re.split(r"[<>=]", entry)[0] for entry in requirements(kind)]
    listed = "import sys, importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"
    print(kind, flush=True)
    subprocess.run([str(python), "-c", listed, *names], check=True)
    return python


def tried(python: Path, folder: Path) -> None:
    """Run each command once, then the tests."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    image = folder / "image.png"
    drawn = f"from PIL import Image; Image.new('RGB', (40, 30)).save({str(image)!r})"
    calls = [
        ["-c", drawn],
        ["-m", "densepred.train", *SMALL, "trainer.max_steps=2", "hydra.run.dir=run"],
        ["-m", "densepred.eval", "ckpt=run", "output=scores"],
        ["-m", "densepred.predict", "ckpt=run", f"input={image}", "output=predictions"],
        ["-m", "densepred.commands.import_", "--help"],
        [
            "-m",
            "pytest",
            "-n",
            "2",
            "-p",
            "no:cacheprovider",
            f"--rootdir={ROOT}",
            *(str(ROOT / test) for test in TESTS),
        ],
    ]
    for words in calls:
        at = ROOT if "pytest" in words else folder
        print("  " + " ".join(words[1:4]), flush=True)
        done = subprocess.run([str(python), *words], cwd=at, env=environment, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            print(done.stdout[-4000:], flush=True)
        done.check_returncode()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=("lowest", "newest"), default=["lowest", "newest"])
    failed = []
    for kind in parser.parse_args().kinds:
        with tempfile.TemporaryDirectory() as folder:
            try:
                tried(installed(kind, Path(folder) / "venv"), Path(folder))
            except subprocess.CalledProcessError as error:
                failed.append(f"{kind}: {' '.join(map(str, error.cmd))[:300]} ended with {error.returncode}")
    print("\n".join(failed) or "every command and test passes with the oldest and the newest versions", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
