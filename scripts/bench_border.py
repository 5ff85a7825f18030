"""Compare the first U-Net on ISBI with and without border weights: Dice, V_rand and V_info on the validation images.

Both sides are `densepred-train experiment=isbi_unet_first` at base width 16 with equal budgets and seeds; the second
side differs only by `task.codec.border=null`. Each run has one thread, and two run at the same time.

    python scripts/bench_border.py --data ../shared/data/isbi
    python scripts/bench_border.py --data ../shared/data/isbi --steps 3 --seeds 0 -- data.crop=[68,68]

The table is printed and written to table.md in the output folder, the scores of every run to results.json. A run with
a summary is not repeated. A score that `--metrics` leaves out is a dash.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SIDES = {"with border weights": [], "without": ["task.codec.border=null"]}
METRICS = ["confusion", "em_segmentation"]
COLUMNS = {"dice/membrane": "Dice of membranes", "mean_dice": "mean Dice", "v_rand": "V_rand", "v_info": "V_info"}


def words(args: argparse.Namespace, side: str, seed: int, folder: Path) -> list[str]:
    """Return the command line of densepred-train."""
    budget = [f"trainer.max_steps={args.steps}", f"trainer.max_minutes={args.minutes}"]
    metrics = [f"metric=[{','.join(args.metrics)}]"] if args.metrics else []
    place = [f"dataset.root={args.data}", f"seed={seed}", f"hydra.run.dir={folder}"]
    means = ["trainer.threads=1", "data.workers=0", "trainer.pictures=1"]
    return ["experiment=isbi_unet_first", "model.width=16", *place, *budget, *metrics, *means, *SIDES[side], *args.more]


def run(args: argparse.Namespace, side: str, seed: int) -> dict[str, Any]:
    """Train one side with one seed, unless its summary exists; return its last scores, seconds and steps."""
    folder = args.output / f"{side.replace(' ', '_')}_{seed}"
    if not (folder / "summary.json").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "densepred.train", *words(args, side, seed, folder)]
        with folder.with_suffix(".log").open("w") as log:
            code = subprocess.run(command, env=environment, stdout=log, stderr=subprocess.STDOUT).returncode
        if code:
            raise SystemExit(f"{' '.join(command)}: ended with {code}; see {folder.with_suffix('.log')}")
    summary = json.loads((folder / "summary.json").read_text())
    print(f"{side}, seed {seed}: {json.dumps(_scores(summary))}, {summary['seconds']} s", flush=True)
    return {"side": side, "seed": seed, "seconds": summary["seconds"], "steps": _steps(folder), **_scores(summary)}


def _scores(summary: dict[str, Any]) -> dict[str, float | None]:
    return {name: summary["last"].get(name) for name in COLUMNS}


def _steps(folder: Path) -> int:
    """Return the steps that a run took within its minutes."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return max(json.loads(line)["step"] for line in lines)


def table(results: list[dict[str, Any]]) -> str:
    """Return means over seeds, standard deviations and the value of each seed, as Markdown."""
    head = ["", *COLUMNS.values(), "steps", "seconds"]
    rows = [head, ["---"] * len(head)]
    for side in SIDES:
        found = [one for one in results if one["side"] == side]
        steps = "-".join(str(end) for end in sorted({min(r["steps"] for r in found), max(r["steps"] for r in found)}))
        seconds = f"{statistics.mean(one['seconds'] for one in found):.0f}"
        rows.append([side, *(_cell([one[name] for one in found]) for name in COLUMNS), steps, seconds])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "-"
    spread = f" ± {statistics.stdev(known):.4f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.4f}{spread} ({', '.join(f'{value:.4f}' for value in known)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the ISBI folder")
    parser.add_argument("--output", type=Path, default=Path("runs/bench_border"))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=8.0, help="longest duration of a run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--metrics", nargs="*", default=METRICS, help="options of the group metric; none: the task's")
    parser.add_argument("--jobs", type=int, default=2, help="runs at the same time, one thread each")
    parser.add_argument("more", nargs="*", help="further overrides for densepred-train, after --")
    args = parser.parse_args()
    # Alternate the sides, so that both meet the same load of the machine
    jobs = [(side, seed) for seed in args.seeds for side in SIDES]
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda job: run(args, *job), jobs))
    text = table(results)
    (args.output / "table.md").write_text(text)
    (args.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"\n{text}\nwritten to {args.output}/table.md and results.json")


if __name__ == "__main__":
    main()
