"""The plain settings of every command as typed dataclasses: the names, types and defaults that Hydra checks.

Hydra and torch are not imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

LENGTHS = ("epochs", "max_steps", "max_minutes")


@dataclass
class DataSettings:
    batch_size: int = 8
    valid_batch_size: int | None = None
    workers: Any = "auto"  # or a number
    crop: Any = None  # [height, width], or one number for a square
    drop_last: bool = False
    on_bad: str = "error"
    foreground: float = 0.0
    balance: str | None = None
    max_pixels: int = 100_000_000
    timeout_s: float = 120.0
    allow_overlap: bool = False
    check: bool = True
    cache: str | None = None
    transform_on_device: bool = False


@dataclass
class TrainerSettings:
    epochs: int | None = None
    max_steps: int | None = None
    max_minutes: float | None = None
    valid_every: float = 1.0
    save_every: float = 10.0
    precision: str = "fp32"
    accumulate: int = 1
    clip: float | None = None
    ema: float | None = None
    compile: bool = False
    checkpointing: bool = False
    shard: bool = False
    channels_last: Any = "auto"  # or true, false
    sync_norm: bool = True
    fused_loss: bool = True
    deterministic: bool = True
    devices: int = 1
    threads: int | None = None
    max_restarts: int = 0
    timeout_s: float = 600.0
    log_every: int = 10
    pictures: int = 4
    probes: bool = False
    resume: str | None = None
    allow: list[str] = field(default_factory=list)
    keep_last: int = 2
    patience: int | None = None
    monitor: str | None = None
    max_skipped: int = 10
    freeze: list[str] = field(default_factory=list)


@dataclass
class WeightsSettings:
    init: str | None = None
    encoder: str | None = None
    model: str | None = None


@dataclass
class SweepSettings:
    columns: list[str] = field(default_factory=list)
    parallel: int = 1
    resume: str | None = None
    retry: bool = False


@dataclass
class TrainSettings:
    """`densepred-train`: plain settings, and a node for each component."""

    seed: int = 0
    data: DataSettings = field(default_factory=DataSettings)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    weights: WeightsSettings = field(default_factory=WeightsSettings)
    sweep: SweepSettings = field(default_factory=SweepSettings)
    task: Any = MISSING
    model: Any = MISSING
    encoder: Any = None
    decoder: Any = None
    upsample: Any = None
    loss: Any = None
    metric: Any = None
    logger: Any = None
    dataset: Any = MISSING
    transform: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING


@dataclass
class EvalSettings:
    """`densepred-eval`: a dataset that is not given is the one that the checkpoint was trained on."""

    ckpt: Any = MISSING  # or a list
    output: str = MISSING
    trust: list[str] = field(default_factory=list)
    dataset: Any = MISSING
    metric: Any = None
    codec: dict[str, Any] = field(default_factory=dict)
    oracle: Any = None
    ablate: str | None = None
    probes: bool = False
    calibrate: bool = False
    pictures: int = 8
    flip: bool = False
    boxes: str | None = None
    box_threshold: float = 0.0
    data: DataSettings = field(default_factory=DataSettings)
    skip_stages: int = 0
    precision: str = "fp32"
    devices: int = 1
    timeout_s: float = 600.0
    threads: int | None = None


DECISIVE = ("flip", "skip_stages", "codec", "boxes", "box_threshold", "precision", "metric")
"""Settings of an evaluation that change its scores: evaluations compare where these and the dataset are equal."""


@dataclass
class PredictSettings:
    """`densepred-predict`."""

    ckpt: Any = MISSING  # or a list
    input: str | None = None
    split: str | None = None
    all_files: bool = False
    output: str = MISSING
    trust: list[str] = field(default_factory=list)
    codec: dict[str, Any] = field(default_factory=dict)
    tile: int | None = None
    overlap: float = 0.5
    blend: str = "gaussian"
    tile_batch: int | None = None
    batch_size: int | None = None
    flip: bool = False
    boxes: str | None = None
    box_threshold: float = 0.3
    scales: list[float] = field(default_factory=lambda: [1.0])
    overlay: bool = True
    threshold: float = 0.3
    probabilities: bool = False
    uncertainty: bool = False
    latents: bool = False
    coco_ids: str | None = None
    fps: float | None = None
    frames: bool = False
    axis: str | None = None
    overwrite: bool = False
    max_pixels: int = 400_000_000
    skip_stages: int = 0
    precision: str = "fp32"
    workers: Any = "auto"  # or a number
    threads: int | None = None


@dataclass
class ImportSettings:
    """`densepred-import`."""

    input: str = MISSING
    output: str = MISSING
    family: str = "auto"
    key: str | None = None


@dataclass
class ExportSettings:
    """`densepred-export`."""

    ckpt: str = MISSING
    output: str = MISSING
    argmax: bool = False
    probabilities: bool = False
    size: list[int] | None = None
    opset: int = 18
    tolerance: float = 1e-3
    images: int = 0
    dataset: Any = MISSING
    data: DataSettings = field(default_factory=DataSettings)
    trust: list[str] = field(default_factory=list)
    skip_stages: int = 0
    overwrite: bool = False
    threads: int | None = None


@dataclass
class ReportSettings:
    """`densepred-report`: on a folder of runs, or with `card` the model card of one."""

    runs: str | None = None
    evaluations: str = "evaluations"
    card: bool = False
    ckpt: str | None = None
    output: str | None = None
    title: str | None = None
    license: str | None = None
    data_license: str | None = None
    overwrite: bool = False
    push: str | None = None
    private: bool = True


@dataclass
class CheckSettings:
    """`densepred-check`."""

    dataset: Any = MISSING
    for_task: str | None = None
    format: str = "text"
    html: str | None = None
    classes_json: str | None = None
    data: DataSettings = field(default_factory=DataSettings)


@dataclass
class ConvertSettings:
    """`densepred-convert`."""

    dataset: Any = MISSING
    input: str | None = None
    output: str = MISSING
    form: str = "folder"
    coco_ids: str | None = None
    for_task: str | None = None
    threshold: float = 0.3
    data: DataSettings = field(default_factory=DataSettings)
