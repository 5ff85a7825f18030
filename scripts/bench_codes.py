"""Compare PCA, linear and convolutional autoencoders with equal numbers of latent channels: error against latent size.

All are trained by `densepred-train` on random crops of one size, one thread each, and evaluated on whole validation
images. Each latent has k channels for every 8 x 8 pixels: PCA and the linear map take patches of 8 x 8, and the
convolutional encoder has stride 8. PCA reads one crop per training image; the others have `--steps` or `--minutes`.

    python scripts/bench_codes.py --data ../shared/data/camvid --codes 3 6 12 24 --minutes 5
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

SIDE = 8
MODELS = ("pca", "linear_autoencoder", "autoencoder")


def words(args: argparse.Namespace, model: str, code: int, folder: Path) -> list[str]:
    """Return the command line of densepred-train."""
    shared = [
        "task=autoencoder",
        f"model={model}",
        f"model.latent_channels={code}",
        "dataset=camvid",
        f"dataset.root={args.data}",
        f"data.crop=[{args.crop},{args.crop}]",
        f"data.batch_size={args.batch}",
        "data.workers=0",
        f"seed={args.seed}",
        # Crop without other augmentation: other scales and colours would differ from the data of the evaluation.
        "transform=default",
        "transform.train.0.low=1.0",
        "transform.train.0.high=1.0",
        "transform.train.2.brightness=0",
        "transform.train.2.contrast=0",
        "transform.train.2.saturation=0",
        "transform.train.2.hue=0",
        "trainer.threads=1",
        "trainer.valid_every=100000",
        f"trainer.pictures={args.pictures}",
        f"hydra.run.dir={folder}",
    ]
    if model == "pca":
        return [*shared, f"model.patch=[{SIDE},{SIDE}]"]
    length = [f"trainer.max_steps={args.steps}"] if args.steps else []
    length += [f"trainer.max_minutes={args.minutes}"] if args.minutes or not args.steps else []
    learning = [*length, "optimizer=adam", "optimizer.weight_decay=0"]
    if model == "linear_autoencoder":
        return [*shared, *learning, "optimizer.lr=0.003", f"model.patch=[{SIDE},{SIDE}]"]
    widths = ",".join(str(args.width * 2**i) for i in range(4))
    return [*shared, *learning, "optimizer.lr=0.002", "encoder=plain", f"encoder.widths=[{widths}]"]


def run(args: argparse.Namespace, model: str, code: int) -> dict[str, float]:
    """Return the summary of one run; a finished one in the output folder is not repeated."""
    folder = Path(args.output) / f"{model}-{code}"
    if not (folder / "summary.json").is_file():
        call = [sys.executable, "-m", "densepred.train", *words(args, model, code, folder)]
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return {
        "mse": summary["last"]["mse"],
        "psnr": summary["last"]["psnr"],
        "steps": summary["last"]["step"],
        "parameters": summary["parameters"],
    }


def table(results: dict[int, dict[str, dict[str, float]]]) -> str:
    """Return a Markdown table of mean squared error x 1000 and PSNR, one row per latent size, one column per model."""
    header = ["values per 8 x 8 pixels", "of the image", *(f"{name}: MSE x 1000 (PSNR)" for name in MODELS)]
    rows = [header, ["---"] * len(header)]
    for code, found in results.items():
        cells = [f"{found[name]['mse'] * 1000:.3f} ({found[name]['psnr']:.2f} dB)" for name in MODELS]
        rows.append([str(code), f"1/{3 * SIDE**2 / code:.3g}", *cells])
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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pictures", type=int, default=4)
    args = parser.parse_args()
    if args.minutes is None and args.steps is None:
        args.minutes = 5.0
    results = {code: {name: run(args, name, code) for name in MODELS} for code in args.codes}
    print(table(results))
    for name in MODELS[1:]:
        counts = ", ".join(f"{found[name]['steps']} at {code}" for code, found in results.items())
        print(f"\n{name}: steps {counts}; {results[args.codes[0]][name]['parameters']} parameters at {args.codes[0]}")


if __name__ == "__main__":
    main()
