"""Findings, processor time and memory of densepred-check on datasets, in one process without loader workers.

    python scripts/bench_check.py DATA

DATA holds the folders of SETS; those that are not there are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

SETS = {
    "camvid": "camvid",
    "isbi": "isbi",
    "nuclei": "nuclei",
    "pose_lspet": "coco_keypoints",
    "pose_coco": "coco_keypoints",
    "pose_openfield": "coco_keypoints",
    "coco_panoptic": "coco_panoptic",
}
MIB = 2**10  # kilobytes
STARTS = 3
"""Runs of which the shortest is the start of the command."""
MANY = 100
"""Images from which the time beyond the start is more than its noise."""


def main() -> None:
    data = Path(sys.argv[1])
    drawn = ["dataset=shapes", "dataset.counts={train: 1, valid: 1, test: 1}", "data.workers=0"]
    start = min(_cost(drawn)[1] for _ in range(STARTS))
    print(f"start of the command: {start:.1f} s")
    print("| set | images | s in all | s per 1000 | peak MiB | findings |\n|---|---|---|---|---|---|")
    for name, option in SETS.items():
        if not (data / name).is_dir():
            continue
        words = [f"dataset={option}", f"dataset.root={data / name}", "data.workers=0", "format=json"]
        text, seconds, peak = _cost(words)
        report = json.loads(text)
        images = sum(split["images"] for split in report["splits"].values())
        kinds = Counter(f"{one['level']} {one['kind']}" for one in report["findings"])
        named = ", ".join(f"{kind} ({count})" if count > 1 else kind for kind, count in kinds.items())
        each = f"{1000 * (seconds - start) / images:.0f}" if images >= MANY else "-"
        print(f"| {name} | {images} | {seconds:.1f} | {each} | {peak} | {named} |", flush=True)


def _cost(words: list[str]) -> tuple[str, float, int]:
    """Return the output of the command, its processor time in seconds, and its largest resident memory in MiB."""
    command = [sys.executable, "-m", "densepred.commands.check", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as child:
        assert child.stdout is not None
        text = child.stdout.read().decode()
        _, _, usage = os.wait4(child.pid, 0)
        child.returncode = 0
    return text, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // MIB


if __name__ == "__main__":
    main()
