"""Runs on the meta device: every shape of a step, and no number of the network, so that size costs nothing."""

from __future__ import annotations

import torch

from densepred.build.instantiate import build, check
from densepred.contracts import ClosedForm, Model
from densepred.engine.amp import Precision
from densepred.engine.evaluate import evaluate
from densepred.jobs import parts
from densepred.optimizer import freeze, optimizer_of
from densepred.settings import TrainSettings
from densepred.task import Task
from densepred.types import Info, Outputs

CPU = torch.device("cpu")


def task_and_model(settings: TrainSettings, info: Info) -> tuple[Task, Model]:
    """Return the task, and the model without memory for its parameters."""
    task = build(settings.task, None, "task", info=info)
    statistics = {"channels": info.channels, "mean": info.mean, "std": info.std}
    with torch.device("meta"):
        return task, build(settings.model, None, "model", heads=task.heads, **statistics)


def parameters(model: Model) -> int:
    """Return the number of parameters that a step updates; 0 if the model is fitted in closed form."""
    return 0 if isinstance(model, ClosedForm) else sum(value.numel() for value in model.parameters())


def step(settings: TrainSettings, task: Task, model: Model) -> None:
    """Check a step of training and one of validation: shapes by the model, numbers by all the rest.

    The model's outputs on the meta device are replaced by zeros of their shapes. Real targets of a real batch give the
    loss, its gradient, the decoded annotations and the scores.
    """
    assert check(vars(settings)) == []
    train, valid = (parts.dataset(settings.dataset, split) for split in ("train", "valid"))
    freeze(model, settings.trainer.freeze)
    optimizer = optimizer_of(model, build(settings.optimizer, None, "optimizer"))
    updated = [value for group in optimizer.param_groups for value in group["params"]]
    assert len(updated) == sum(value.requires_grad for value in model.parameters())
    build(settings.scheduler, None, "scheduler")

    hollow(model)
    augment = parts.pipeline(settings.transform["train"], train.info, "train")
    loader = parts.training_loader(train, augment, task.codec, settings.data, settings.seed, CPU)
    batch = next(loader.epoch(0))
    outputs = model.train()(batch.image)
    terms = task.loss(outputs, batch.targets, model.align_corners)
    assert terms.keys() == {"total", *task.heads}
    terms["total"].backward()
    gradients = [stage.grad for name in task.heads for stage in outputs[name]]
    assert all(value is not None and value.isfinite().all() for value in gradients)

    transform = parts.pipeline(settings.transform["valid"], valid.info, "valid")
    loader = parts.evaluation_loader(valid, transform, task.codec, settings.data, CPU)
    scores = evaluate(model, task, loader, CPU, Precision("fp32", CPU))
    assert (settings.trainer.monitor or task.monitor) in scores


def hollow(model: Model) -> None:
    """Let a model on the meta device take real images and give zeros in the shapes of its outputs."""
    model.register_forward_pre_hook(lambda _, given: (given[0].to("meta"),))

    def zeros(_: object, __: object, outputs: Outputs) -> Outputs:
        graph = torch.is_grad_enabled()
        return {name: [torch.zeros(s.shape, requires_grad=graph) for s in stages] for name, stages in outputs.items()}

    model.register_forward_hook(zeros)
