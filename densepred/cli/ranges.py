"""The values that plain settings may have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

PRECISIONS = ("fp32", "bf16", "fp16")

ON_BAD = ("error", "skip")

BALANCES = ("classes",)

CACHES = ("ram", "disk")

BLENDS = ("gaussian", "none")

BIG = float("inf")
ABOVE_0 = math.ulp(0.0)
BELOW_1 = math.nextafter(1.0, 0.0)

RANGES = (
    ("seed", 0, 2**32 - 1),
    ("data.batch_size", 1, BIG),
    ("data.valid_batch_size", 1, BIG),
    ("data.workers", 0, BIG),
    ("data.crop", 1, BIG),
    ("data.max_pixels", 1, BIG),
    ("data.foreground", 0, 1),
    ("data.timeout_s", ABOVE_0, 1e6),
    ("trainer.epochs", 1, BIG),
    ("trainer.max_steps", 1, BIG),
    ("trainer.max_minutes", 0, BIG),
    ("trainer.valid_every", 0.001, BIG),
    ("trainer.save_every", 0, BIG),
    ("trainer.accumulate", 1, BIG),
    ("trainer.clip", ABOVE_0, BIG),
    ("trainer.ema", 0, BELOW_1),
    ("trainer.devices", 1, BIG),
    ("trainer.threads", 1, BIG),
    ("trainer.max_restarts", 0, BIG),
    ("trainer.timeout_s", 1, 1e6),
    ("timeout_s", 1, 1e6),
    ("sweep.parallel", 1, BIG),
    ("trainer.log_every", 1, BIG),
    ("trainer.pictures", 0, BIG),
    ("trainer.keep_last", 1, BIG),
    ("trainer.patience", 1, BIG),
    ("trainer.max_skipped", 0, BIG),
    ("workers", 0, BIG),
    ("batch_size", 1, BIG),
    ("tile", 1, BIG),
    ("tile_batch", 1, BIG),
    ("overlap", 0, 0.95),
    ("scales", 0.01, 16),
    ("threshold", 0, 1),
    ("box_threshold", 0, 1),
    ("devices", 1, BIG),
    ("threads", 1, BIG),
    ("size", 1, BIG),
    ("opset", 18, 24),
    ("tolerance", 0, 1),
    ("images", 0, BIG),
    ("pictures", 0, 999),
    ("optimizer.lr", 0, 1e6),
    ("optimizer.weight_decay", 0, 1e6),
    ("optimizer.eps", 0, 1),
    ("optimizer.momentum", 0, BELOW_1),
    ("optimizer.betas", 0, BELOW_1),
)

NETWORK = ("model", "encoder", "decoder", "upsample")
WIDTHS = ("width", "widths", "features", "first_hidden", "latent_channels", "compressed")
OF_NETWORK: dict[str, tuple[float, float]] = {
    **dict.fromkeys((*WIDTHS, "stride", "levels", "depths"), (ABOVE_0, BIG)),
    "hidden": (0, BIG),
    "dropout": (0, 1),
    "drop_path": (0, BELOW_1),
}
"""Ranges of the settings of our networks by the last word of their keys; those that end in _width or _widths too."""


def out_of_range(config: DictConfig) -> Iterator[str]:
    """Return one error message per setting that is out of range."""
    for key, low, high in RANGES:
        value = OmegaConf.select(config, key)
        values = value if OmegaConf.is_list(value) else [value]
        numbers = [v for v in values if isinstance(v, int | float) and math.isfinite(v)]
        if any(not low <= v <= high for v in numbers):
            yield f"{key}: {value}; give {_bounds(low, high)}"
    plain = OmegaConf.to_container(config, resolve=False)
    yield from _of_networks(plain)
    for key, value in _infinite(plain):
        yield f"{key}: {value}; give a finite number"
    choices = {
        "trainer.precision": PRECISIONS,
        "precision": PRECISIONS,
        "data.on_bad": ON_BAD,
        "data.balance": BALANCES,
        "data.cache": CACHES,
        "blend": BLENDS,
    }
    for key, words in choices.items():
        value = OmegaConf.select(config, key)
        if value is not None and value not in words:
            yield f"{key}: {value}; choose one of {', '.join(words)}"
    if OmegaConf.select(config, "scales") == []:
        yield "scales: []; give at least one size of the image, such as 'scales=[1.0]'"
    for key in ("data.workers", "workers"):
        workers = OmegaConf.select(config, key)
        if workers is not None and workers != "auto" and type(workers) is not int:
            yield f"{key}: {workers}; give a number of processes, or auto"
    layout = OmegaConf.select(config, "trainer.channels_last")
    if layout is not None and layout != "auto" and type(layout) is not bool:
        yield f"trainer.channels_last: {layout}; give true, false or auto"
    crop = OmegaConf.select(config, "data.crop")
    whole = OmegaConf.is_list(crop) and len(crop) == 2 and all(type(side) is int for side in crop)
    if crop is not None and not whole:
        yield f"data.crop: {crop}; give two lengths, 'data.crop=[HEIGHT,WIDTH]', or one for a square"


def _of_networks(config: Any) -> Iterator[str]:
    """Yield one error message per setting of our networks that is out of range."""
    for at, node in _ours({group: config.get(group) for group in NETWORK} if isinstance(config, Mapping) else {}):
        for key, value in node.items():
            wide = key.endswith(("_width", "_widths"))
            low, high = (ABOVE_0, BIG) if wide else OF_NETWORK.get(key, (-BIG, BIG))
            numbers = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, int | float)]
            if any(not low <= v <= high for v in numbers if math.isfinite(v)):
                yield f"{at}.{key}: {value}; give {_bounds(low, high)}"


def _ours(node: Any, at: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the mappings below a node that describe a class of this package, with their keys."""
    if not isinstance(node, Mapping):
        return
    if str(node.get("_target_")).startswith("densepred."):
        yield at, node
    for key, value in node.items():
        yield from _ours(value, f"{at}.{key}" if at else str(key))


def _bounds(low: float, high: float) -> str:
    if low == ABOVE_0:
        return "a number above 0" if high == BIG else f"a number above 0, at most {high:g}"
    if high == BELOW_1:
        return f"a number from {low} to below 1"
    return f"{low} or more" if high == BIG else f"a number from {low} to {high:g}"


def _infinite(node: Any, at: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number below a node that is NaN or infinite, with its key."""
    if isinstance(node, float) and not math.isfinite(node):
        yield at, node
    elif isinstance(node, Mapping | list):
        for key, value in node.items() if isinstance(node, Mapping) else enumerate(node):
            yield from _infinite(value, f"{at}.{key}" if at else str(key))
