"""Names that other trainers use, and what to type instead."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Mapping

GROUPS = {
    "encoder": "backbone encoder_name",
    "decoder": "decode_head decoder_name neck",
    "model": "arch architecture model_name net network",
    "loss": "criterion loss_fn loss_function",
    "metric": "metrics",
    "dataset": "dataset_name datamodule",
    "transform": "augment augmentation augmentations transforms",
    "optimizer": "optim optimizer_name",
    "scheduler": "lr_scheduler scheduler_name sched",
}
"""Config groups, and other names for them."""

KEYS = {
    "ckpt": "checkpoint checkpoint_path ckpt_path load_from model_path resume weights",
    "trainer.clip": "clip_grad clip_grad_norm grad_clip gradient_clip gradient_clip_val max_grad_norm",
    "trainer.accumulate": "accumulate_grad_batches accumulation_steps grad_accum gradient_accumulation_steps",
    "trainer.epochs": "epochs max_epochs n_epochs num_epochs num_train_epochs",
    "trainer.max_steps": "iterations iters max_iter max_iters max_steps num_steps steps total_steps",
    "trainer.valid_every": "check_val_every_n_epoch eval_interval val_check_interval val_interval",
    "trainer.log_every": "log_every_n_steps log_interval logging_steps print_freq",
    "trainer.patience": "early_stopping early_stopping_patience",
    "trainer.ema": "ema_decay model_ema model_ema_decay",
    "trainer.devices": "devices gpus n_gpus ngpus nproc_per_node num_devices num_gpus",
    "trainer.precision": "precision",
    "trainer.threads": "num_threads threads",
    "trainer.compile": "compile torch_compile",
    "trainer.checkpointing": "activation_checkpointing grad_checkpointing gradient_checkpointing with_cp",
    "trainer.shard": "fsdp fsdp2 fully_shard use_fsdp zero zero3",
    "optimizer.lr": "base_lr learning_rate lr lr0",
    "optimizer.weight_decay": "wd weight_decay",
    "optimizer.momentum": "momentum",
    "scheduler.warmup": "num_warmup_steps warmup warmup_epochs warmup_iters warmup_steps",
    "data.batch_size": "batch batch_size bs samples_per_gpu train_batch_size",
    "data.workers": "dataloader_num_workers n_workers num_workers workers workers_per_gpu",
    "batch_size": "batch bs",
    "workers": "dataloader_num_workers n_workers num_workers workers_per_gpu",
    "data.cache": "cache cache_images cache_type",
    "data.transform_on_device": "augment_on_gpu gpu_augment gpu_augmentation gpu_transforms transforms_on_gpu",
    "data.crop": "crop crop_size image_size img_size imgsz input_size resolution",
    "dataset.root": "data_dir data_path data_root dataset_dir dataset_path root root_dir",
    "dataset.split": "split",
    "seed": "manual_seed random_seed seed_everything",
    "threshold": "conf conf_thres confidence score_threshold",
    "input": "image image_dir images img_dir source",
    "output": "out out_dir output_dir save_dir",
}
"""Keys of densepred, and other names for them; of two rows with one name, the first that the command has counts."""

REMEDIES = {
    "the checkpoint holds the model and its task; remove it": (
        "arch architecture backbone decoder encoder loss model task transform upsample"
    ),
    "type trainer.precision=bf16, or fp16": "amp autocast bf16 fp16 half mixed_precision use_amp",
    "the number of classes comes from the dataset; remove it": "classes n_classes nc num_classes",
    "type weights.encoder=FILE, or encoder=timm encoder.pretrained=true": "encoder_weights pretrained",
    "type weights.init=FILE or weights.encoder=FILE": "weights",
    "type trainer.resume=RUN to continue a run, or weights.init=RUN to start from its weights": (
        "checkpoint checkpoint_path ckpt ckpt_path load_from resume resume_from_checkpoint"
    ),
    "training reads train and valid; type dataset.split=... to densepred-eval": "split",
    "choose a dataset that is on disk: type dataset=folder dataset.root=DIR": KEYS["dataset.root"],
    "type hydra.run.dir=DIR": "exp_dir log_dir out_dir output output_dir save_dir work_dir",
    "GPUs are found without a key; remove it": "accelerator cuda device gpu",
    "type trainer.devices=N, for one process per GPU": "ddp distributed strategy",
}
"""Remedies for keys without a single counterpart."""

OPTIONS = {
    "ce": "crossentropy",
    "bce": "bcewithlogits binarycrossentropy",
    "lovasz": "lovaszsoftmax",
    "ce_dice": "dicece",
    "jaccard": "iou",
    "confusion": "accuracy dicescore iou meaniou miou",
    "panoptic_quality": "pq",
    "keypoint_ap": "oks",
    "poly": "polynomial",
    "cosine": "cosineannealing",
    "step": "multistep",
    "semantic": "segmentation semanticsegmentation",
    "voc": "pascal pascalvoc",
}
"""Options of groups, and other names for them, as `_plain` writes them."""


def key(typed: str, value: str, known: Collection[str]) -> str | None:
    """Return what to type instead of `typed`, a key that is not among the `known` keys of a command."""
    name = typed.rpartition(".")[2].lower().replace("-", "_")
    for target in _targets(KEYS, name):
        if typed.startswith(f"{target.rpartition('.')[0]}.") and target.endswith(f".{name}"):
            continue  # optimizer.groups.encoder.lr is another than optimizer.lr
        for place in (target, target.rpartition(".")[2]):
            if place in known and place != typed:
                return "type " + shlex.quote(f"{place}={value or '...'}")
    for group in _targets(GROUPS, name):
        if group in known and group != typed:
            return f"type {group}={value or '...'}"
    for remedy in _targets(REMEDIES, name):
        if _applies(remedy, known):
            return _filled(remedy, value)
    return None


def option(word: str, options: Iterable[str]) -> str | None:
    """Return the option that is meant by a word such as AdamW, unet++ or CrossEntropyLoss."""
    plain = _plain(word)
    for name in options:
        if plain in (_plain(name), *OPTIONS.get(name, "").split()):
            return name
    return None


def _targets(table: Mapping[str, str], name: str) -> list[str]:
    return [target for target, names in table.items() if name in names.split()]


def _applies(remedy: str, known: Collection[str]) -> bool:
    """Return True if the command has the key that a remedy begins with, or the checkpoint that it speaks of."""
    found = re.match(r"type ((?:data|trainer|weights)\.\w+)=|the (ckpt)", remedy.replace("checkpoint", "ckpt"))
    return found is None or (found[1] or found[2]) in known


def _filled(remedy: str, value: str) -> str:
    """Return a remedy with the path that was typed."""
    if "/" in value or "." in value:
        return re.sub(r"\b(RUN|FILE|DIR)\b", lambda _: value, remedy)
    return remedy


def _plain(word: str) -> str:
    letters = re.sub(r"[^a-z0-9]", "", word.lower().replace("+", "plus"))
    return re.sub(r"(loss|lr)$", "", letters) or letters
