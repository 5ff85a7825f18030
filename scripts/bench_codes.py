"""Compare PCA with autoencoders of equal numbers of latent channels: error against latent size, over seeds.

All are trained by `densepred-train` on random crops of one size, one thread each, and evaluated on whole validation
images. Each latent has k channels for every 8 x 8 pixels: PCA, the linear and the residual autoencoder take patches of
8 x 8, and the convolutional encoder has stride 8. PCA reads one crop per training image; the others have `--steps` or
`--minutes`. The residual autoencoder is `experiment=camvid_autoencoder`: its schedule needs `--steps`.

    python scripts/bench_codes.py --data DIR --codes 3 12 --models pca residual_autoencoder
    python scripts/bench_codes.py --data DIR --codes 3 6 12 24 --minutes 5 --seeds 0
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

SIDE = 8
MODELS = ("pca", "linear_autoencoder", "residual_autoencoder", "autoencoder")


def words(args: argparse.Namespace, model: str, code: int, seed: int, folder: Path) -> list[str]:
    """Return the command line of densepred-train: crops and flips alone, and what each model learns fastest with."""
    shared = [
        "experiment=camvid_autoencoder",
        f"model={model}",
        f"model.latent_channels={code}",
        f"dataset.root={args.data}",
        f"data.crop=[{args.crop},{args.crop}]",
        f"data.batch_size={args.batch}",
        "data.workers=0",
        f"seed={seed}",
        "trainer.threads=1",
        "trainer.valid_every=100000",
        f"trainer.pictures={args.pictures}",
        f"hydra.run.dir={folder}",
    ]
    if model == "pca":
        return [*shared, f"model.patch=[{SIDE},{SIDE}]", "data.cache=null", "trainer.max_steps=null"]
    length = [f"trainer.max_steps={args.steps or 'null'}", f"trainer.max_minutes={args.minutes or 'null'}"]
    if model == "autoencoder":
        widths = ",".join(str(args.width * 2**i) for i in range(4))
        return [*shared, *length, "optimizer.lr=0.002", "encoder=plain", f"encoder.widths=[{widths}]"]
    rate = ["optimizer.lr=0.003"] if model == "linear_autoencoder" else []
    return [*shared, *length, *rate, f"model.patch=[{SIDE},{SIDE}]"]


def run(args: argparse.Namespace, model: str, code: int, seed: int) -> dict[str, float]:
    """Return the summary of one run; a finished one in the output folder is not repeated."""
    folder = Path(args.output) / f"{model}-{code}-{seed}"
    if not (folder / "summary.json").is_file():
        call = [sys.executable, "-m", "densepred.train", *words(args, model, code, seed, folder)]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    keys = ("mse", "psnr", "step")
    return {"parameters": summary["parameters"], "seconds": summary["seconds"]} | {k: summary["last"][k] for k in keys}


def cell(found: list[dict[str, float]]) -> str:
    """Return the error x 1000 over seeds, its deviation if there are several, and the mean PSNR."""
    errors = [one["mse"] * 1000 for one in found]
    spread = f" +- {statistics.stdev(errors):.3f}" if len(errors) > 1 else ""
    return f"{statistics.mean(errors):.3f}{spread} ({statistics.mean(one['psnr'] for one in found):.2f} dB)"


def table(results: dict[int, dict[str, list[dict[str, float]]]], models: list[str]) -> str:
    """Return a Markdown table of mean squared error x 1000 and PSNR, one row per latent size, one column per model."""
    header = ["values per 8 x 8 pixels", "of the image", *(f"{name}: MSE x 1000 (PSNR)" for name in models)]
    rows = [header, ["---"] * len(header)]
    for code, found in results.items():
        rows.append([str(code), f"1/{3 * SIDE**2 / code:.3g}", *(cell(found[name]) for name in models)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a folder in the form of dataset=camvid")
    parser.add_argument("--output", default="runs/codes", help="folder of the runs; finished ones are read from it")
    parser.add_argument("--codes", type=int, nargs="+", default=[3, 6, 12, 24])
    parser.add_argument("--minutes", type=float, default=None, help="duration of each run except PCA")
    parser.add_argument("--steps", type=int, default=None, help="steps of each run except PCA; --minutes may end it")
    parser.add_argument("--crop", type=int, default=96, help="side of the crops, a multiple of 8")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--width", type=int, default=16, help="channels of the convolutional encoder's first level")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--pictures", type=int, default=4)
    args = parser.parse_args()
    if args.minutes is None and args.steps is None:
        args.steps = 3000
    results = {
        code: {name: [run(args, name, code, seed) for seed in args.seeds] for name in args.models}
        for code in args.codes
    }
    print(table(results, args.models))
    for name in args.models:
        every = [one for found in results.values() for one in found[name]]
        steps, seconds = (
            "-".join(str(round(f(one[key] for one in every))) for f in (min, max)) for key in ("step", "seconds")
        )
        print(f"\n{name}: steps {steps}, seconds {seconds}; {every[0]['parameters']} parameters at {args.codes[0]}")


if __name__ == "__main__":
    main()
