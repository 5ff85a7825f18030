"""Two processes compute what one does: the same integers in evaluation, the same gradients of exact batch sums."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp

from densepred import distributed
from densepred.build.instantiate import build
from densepred.cli import compose
from densepred.engine.amp import Precision
from densepred.engine.evaluate import evaluate
from densepred.errors import MachineError, PeerLost
from densepred.jobs import parts
from densepred.process import meeting
from densepred.types import HeadSpec
from tests.conftest import PATIENCE, composed

CPU = torch.device("cpu")
SIZES = (1, 3, 4, 7)  # fewer than processes, an odd number, full batches, and a rest
LOSSES = ("ce", "dice", "focal", "ce_dice")
VOID_IMAGES = ((3,), (1, 3))
"""Images of a batch of four that are void: one of the second process, or all of it, which then counts nothing."""
CASES = [(loss, void) for loss in LOSSES for void in VOID_IMAGES]
OPTIONS = ("encoder.widths=[4,8]", "dataset.size=[24,32]", "data.batch_size=2", "data.workers=0")


def prepared(loss: str, samples: int) -> tuple[Any, Any, Any, Any]:
    words = (*OPTIONS, f"loss={loss}", f"dataset.counts={{train: {samples}, valid: {samples}, test: 1}}")
    settings = compose.settings(composed(*words))
    valid = parts.dataset(settings.dataset, "valid")
    torch.manual_seed(0)
    task, model = parts.task_and_model(settings.task, settings.model, valid.info)
    transform = parts.pipeline(settings.transform["valid"], valid.info, "valid")
    loader = parts.evaluation_loader(valid, transform, task.codec, settings.data, CPU)
    return task, model, loader, valid


def evaluation(samples: int) -> dict[str, float | None]:
    task, model, loader, _ = prepared("ce", samples)
    return evaluate(model, task, loader, CPU, Precision("fp32", CPU))


def gradient(loss: str, void: Collection[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and gradient of a batch of four, of which each process holds its share, as with DistributedDataParallel.

    Some images are all void, so that the processes count different numbers of pixels.
    """
    task, model, _, valid = prepared(loss, 4)
    mine = [valid[i] for i in distributed.shard(range(4))]
    labels = torch.stack([sample.truth.semantic for sample in mine])
    labels[[index in void for index in distributed.shard(range(4))]] = 255
    model.train(False)
    outputs = model(torch.stack([sample.image for sample in mine]).float() / 255)
    value = task.loss(outputs, {"semantic": labels}, every_rank=True)["total"]
    value.backward()
    flat = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    if distributed.world() > 1:
        torch.distributed.all_reduce(flat)
        flat /= distributed.world()
    return value.detach(), flat


def work(rank: int, world: int, port: int, folder: str) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    distributed.join(timeout_seconds=PATIENCE)
    found = {"evaluation": {n: evaluation(n) for n in SIZES}, "gradient": {case: gradient(*case) for case in CASES}}
    mine, other = rank == 0, rank == 1
    assert distributed.anywhere_each(torch.tensor([mine, False]), [other, False]) == [True, False, True, False]
    everyone = distributed.gather(found["evaluation"])
    assert all(one == everyone[0] for one in everyone), "the processes disagree on a score"
    if distributed.is_main():
        torch.save(found, Path(folder) / "found.pt")
    distributed.leave()


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(work, args=(2, port, str(folder)), nprocs=2, start_method="fork")
    return torch.load(folder / "found.pt", weights_only=True)


@pytest.mark.parametrize("samples", SIZES)
def test_evaluation_of_two_processes_equals_that_of_one(of_two: dict[str, Any], samples: int) -> None:
    assert of_two["evaluation"][samples] == evaluation(samples)


@pytest.mark.parametrize(("loss", "void"), CASES)
def test_two_processes_have_the_loss_and_gradient_of_the_whole_batch(
    of_two: dict[str, Any], loss: str, void: tuple[int, ...]
) -> None:
    value, flat = gradient(loss, void)
    theirs, others = of_two["gradient"][loss, void]
    assert theirs.item() == pytest.approx(value.item(), rel=1e-6)
    assert (others - flat).abs().max() <= 1e-5 * flat.abs().max()


def test_without_a_group_the_world_is_one_process() -> None:
    rows = torch.ones(2, 3)
    assert distributed.world() == 1
    assert distributed.share("x") == "x"
    assert distributed.gather(4) == [4]
    assert distributed.gather_rows(rows) is rows
    assert distributed.anywhere(True, CPU)
    assert not distributed.anywhere(False, CPU)


def test_a_process_that_was_stopped_waits_until_the_first_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launchers end all processes as soon as one ends by another code than 0."""
    store, group = torch.distributed.HashStore(), torch.distributed.distributed_c10d
    distributed.wait_for_first(60)  # a process alone is the first
    monkeypatch.setattr(distributed, "is_main", lambda: False)
    monkeypatch.setattr(group, "_get_default_store", lambda: store)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(distributed.wait_for_first, 60)
        time.sleep(0.1)
        assert not waiting.done()
        store.set(distributed.LEFT, "")
        waiting.result(60)

    class Gone:
        def check(self, keys: list[str]) -> bool:
            raise RuntimeError("the store has ended with the first process")

    monkeypatch.setattr(group, "_get_default_store", Gone)
    distributed.wait_for_first(60)


def test_ranks_of_an_attempt_meet_in_a_store_that_former_ones_have_written() -> None:
    """Also where one of them comes late, after rank 0 has answered to the word of its former process."""
    store = torch.distributed.HashStore()
    for attempt in range(3):
        with ThreadPoolExecutor(3) as pool:
            late = [pool.submit(meeting.of_this_attempt, store, rank, 3, patience()) for rank in (0, 2)]
            time.sleep(0.05)
            parts = [meeting.of_this_attempt(store, 1, 3, patience()), *(one.result() for one in late)]
        assert not any(part.check(["address"]) for part in parts)
        parts[0].set("address", f"of attempt {attempt}")
        assert {part.get("address") for part in parts} == {f"of attempt {attempt}".encode()}


def patience(seconds: float = 10.0) -> meeting.Patience:
    return meeting.Patience(seconds, "trainer.timeout_s")


@pytest.mark.parametrize(
    ("rank", "who"),
    [(0, "processes 1, 2 of 3 have"), (2, "process 0 of 3 has")],
)
def test_a_rank_that_does_not_come_is_named_soon(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], rank: int, who: str
) -> None:
    monkeypatch.setattr(meeting, "SOON", 0.02)
    with pytest.raises(PeerLost, match=rf"{who} not joined within trainer\.timeout_s=1; .* or raise"):
        meeting.of_this_attempt(torch.distributed.HashStore(), rank, 3, patience(1))
    [line] = capfd.readouterr().err.splitlines()
    assert line == f"warning: {who} not joined after 0.02 s; waiting up to trainer.timeout_s=1 s for it"


def test_tasks_of_srun_find_each_other_and_name_a_first_one_that_does_not_come(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in (("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", str(port)), ("SLURM_JOB_ID", "7")):
        monkeypatch.setenv(name, value)
    with ThreadPoolExecutor(2) as pool:  # the first task comes last
        second = pool.submit(meeting.of_first, 1, 2, patience())
        first = meeting.of_first(0, 2, patience())
        first.set("a", "b")
        assert second.result().get("a") == b"b"
    with pytest.raises(MachineError, match=rf"^MASTER_PORT={port}: address already in use: .*; set MASTER_PORT to"):
        meeting.of_first(0, 2, patience())
    monkeypatch.setattr(meeting, "SOON", 0.02)
    monkeypatch.setenv("MASTER_PORT", "1")  # nothing listens there
    with pytest.raises(PeerLost, match=r"process 0 of 2 has not joined within .* \(nothing answers at MASTER_ADDR=127"):
        meeting.of_first(1, 2, patience(1))
    assert "MASTER_PORT=1); waiting up to trainer.timeout_s=1 s" in capfd.readouterr().err
    monkeypatch.setenv("MASTER_ADDR", "node.invalid")
    with pytest.raises(PeerLost, match=r"\(MASTER_ADDR=node\.invalid: [a-z -]+; set MASTER_ADDR to an address of the"):
        meeting.of_first(1, 2, patience(1))


def test_parameters_that_no_output_needs_are_found(plain: Callable[..., dict[str, Any]]) -> None:
    cpu = torch.device("cpu")
    for decoder, wanted in (("unet", False), ("fpn", True)):
        node = plain("encoder.widths=[4,4,8,8]", f"decoder={decoder}")["model"]
        heads = {"semantic": HeadSpec(2, kind="classes")}
        model = build(node, None, "model", heads=heads, channels=1, mean=(0.5,), std=(0.5,)).train()
        assert distributed.unused(model, 1, cpu) is wanted
        assert model.training
        model.encoder.checkpoint()
        assert distributed.unused(model, 1, cpu) is wanted
