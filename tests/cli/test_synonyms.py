"""Names from other trainers are answered with the key of this one."""

from __future__ import annotations

import pytest

from densepred.cli import command, hydra_errors, synonyms
from densepred.cli.typed import Typed
from tests import cases
from tests.conftest import composed


@pytest.mark.parametrize(
    ("typed", "answer"),
    cases.sample(
        [
            ("trainer.gradient_clip_val=1.0", "type trainer.clip=1.0"),
            ("trainer.accumulate_grad_batches=2", "type trainer.accumulate=2"),
            ("max_epochs=3", "type trainer.epochs=3"),
            ("epochs=3", "type trainer.epochs=3"),
            ("lr=1e-3", "type optimizer.lr=1e-3"),
            ("trainer.learning_rate=1e-3", "type optimizer.lr=1e-3"),
            ("data.num_workers=3", "type data.workers=3"),
            ("batch_size=4", "type data.batch_size=4"),
            ("devices=2", "type trainer.devices=2"),
            ("trainer.gpus=2", "type trainer.devices=2"),
            ("amp=true", "type trainer.precision=bf16"),
            ("trainer.fp16=true", "type trainer.precision=bf16"),
            ("model.num_classes=3", "the number of classes comes from the dataset"),
            ("encoder.pretrained=true", "type weights.encoder=FILE"),
            ("resume=runs/a", "type trainer.resume=runs/a to continue a run"),
            ("seed_everything=1", "type seed=1"),
            ("imgsz=512", "type data.crop=512"),
            ("imgsz=[512,256]", "type 'data.crop=[512,256]'"),
            ("data.root=/data", "type dataset=folder dataset.root=/data"),
            ("model.backbone=resnet18", "type encoder=resnet18"),
            ("split=test", "type dataset.split=... to densepred-eval"),
            ("data=cityscapes", "type dataset=cityscapes"),
            ("weights=imagenet", "type weights.init=..., or another of weights.encoder, weights.model"),
            ("optimizer=AdamW", "type optimizer=adamw"),
            ("model=unet++", "type model=unetplusplus"),
            ("model=deeplabv3+", "type model=deeplabv3plus"),
            ("loss=CrossEntropyLoss", "type loss=ce"),
            ("scheduler=CosineAnnealingLR", "type scheduler=cosine"),
            ("encoder=convnext_tiny", "encoder=timm encoder.name=convnext_tiny"),
            ("+trainer.max_grad_norm=1", "type trainer.clip=1"),
            ("optimizer.groups.encoder.lr=0.1", "type +optimizer.groups.encoder.lr=0.1"),
            ("model.encoder.norm=group", "type encoder.norm=group"),
            ("+model=fpn", "type model=... without +"),
        ],
        3,
    ),
)
def test_a_name_from_elsewhere_is_answered_with_ours(typed: str, answer: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011, Hydra raises many kinds
        composed(typed)
    text = hydra_errors.sentence(caught.value, Typed("train", command.configs(), [typed]))
    assert answer in text
    assert "\n" not in text


def test_keys_of_a_command_are_those_it_has() -> None:
    known = Typed("eval", command.configs(), ()).known_keys()
    assert synonyms.key("checkpoint", "runs/a", known) == "type ckpt=runs/a"
    assert synonyms.key("num_gpus", "2", known) == "type devices=2"
    assert synonyms.key("split", "test", known) == "type dataset.split=test"
    assert synonyms.key("model", "unet", known) == "the checkpoint holds the model and its task; remove it"


def test_every_target_exists_in_some_command() -> None:
    known = {key for name in ("train", "eval", "predict") for key in Typed(name, command.configs(), ()).known_keys()}
    absent = set(synonyms.KEYS) - known
    assert absent == {"dataset.root", "optimizer.momentum"}, "these belong to options that are not the default"
    assert set(synonyms.GROUPS) <= Typed("train", command.configs(), ()).groups()
    options = {path.stem for path in command.configs().rglob("*.yaml")}
    assert set(synonyms.OPTIONS) <= options


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["model=deeplabv3", "decoder.rates=[3]"], "it is called atrous_rates now; type decoder.atrous_rates=[3]"),
        (["task=panoptic", "task.codec.most=9"], "it is called max_detections now; type task.codec.max_detections=9"),
        (["loss=tversky", "loss.absent=true"], "it is called include_absent now; type loss.include_absent=true"),
    ],
)
def test_a_former_name_of_a_key_is_answered_with_the_present_one(words: list[str], answer: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011, Hydra raises many kinds
        composed(*words)
    assert answer in hydra_errors.sentence(caught.value, Typed("train", command.configs(), words))
