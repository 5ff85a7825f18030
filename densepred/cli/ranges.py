"""The values that plain settings may have."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig, OmegaConf

PRECISIONS = ("fp32", "bf16", "fp16")

ON_BAD = ("error", "skip")

BLENDS = ("gaussian", "none")

BIG = float("inf")

RANGES = (
    ("seed", 0, 2**32 - 1),
    ("data.batch_size", 1, BIG),
    ("data.workers", 0, BIG),
    ("data.crop", 1, BIG),
    ("data.max_pixels", 1, BIG),
    ("data.timeout_s", 0, BIG),
    ("trainer.epochs", 1, BIG),
    ("trainer.max_steps", 1, BIG),
    ("trainer.max_minutes", 0, BIG),
    ("trainer.valid_every", 0.001, BIG),
    ("trainer.save_every", 0, BIG),
    ("trainer.accumulate", 1, BIG),
    ("trainer.clip", 1e-9, BIG),
    ("trainer.ema", 0, 0.999999),
    ("trainer.devices", 1, BIG),
    ("trainer.threads", 1, BIG),
    ("trainer.max_restarts", 0, BIG),
    ("trainer.log_every", 1, BIG),
    ("trainer.pictures", 0, BIG),
    ("trainer.keep_last", 1, BIG),
    ("trainer.patience", 1, BIG),
    ("trainer.max_skipped", 0, BIG),
    ("tile", 1, BIG),
    ("overlap", 0, 0.95),
    ("scales", 0.01, 16),
    ("threshold", 0, 1),
    ("box_threshold", 0, 1),
    ("devices", 1, BIG),
    ("threads", 1, BIG),
)


def out_of_range(config: DictConfig) -> Iterator[str]:
    """Return one error message per setting that is out of range."""
    for key, low, high in RANGES:
        value = OmegaConf.select(config, key)
        values = value if OmegaConf.is_list(value) else [value]
        if any(v is not None and not low <= v <= high for v in values):
            yield f"{key}: {value}; give " + (f"{low} or more" if high == BIG else f"a number from {low} to {high}")
    choices = {"trainer.precision": PRECISIONS, "precision": PRECISIONS, "data.on_bad": ON_BAD, "blend": BLENDS}
    for key, words in choices.items():
        value = OmegaConf.select(config, key)
        if value is not None and value not in words:
            yield f"{key}: {value}; choose one of {', '.join(words)}"
    if OmegaConf.select(config, "scales") == []:
        yield "scales: []; give at least one size of the image, such as [1.0]"
    crop = OmegaConf.select(config, "data.crop")
    if crop is not None and len(crop) != 2:
        yield f"data.crop: {crop}; give two lengths, [height,width]"
