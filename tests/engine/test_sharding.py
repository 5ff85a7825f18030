"""Two processes that divide a model (FSDP2) compute what two whole ones do, in half the memory, with the same files."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file
from torch import Tensor, nn

from densepred import distributed, optimizer
from densepred.contracts import Encoder
from densepred.encoder.mit import Block, MixTransformer
from densepred.encoder.timm import Timm
from densepred.engine import sharding, trainer
from densepred.errors import UserError
from densepred.jobs.resuming import STOPPED
from densepred.model.pca import PCA
from densepred.types import HeadSpec, Pyramid
from tests import running
from tests.conftest import composed
from tests.engine.test_trainer import assert_equal_runs, poison, stop_at

CPU = torch.device("cpu")
WORDS = (
    "model=segformer",
    "encoder=mit_b0",
    "encoder.widths=[4,8,20,32]",
    "encoder.depths=[1,1,1,1]",
    "dataset.size=[32,32]",
    "dataset.counts={train: 8, valid: 3, test: 1}",
    "data.valid_batch_size=1",  # two batches for the first process, one for the second
    "trainer.ema=0.9",
    "trainer.max_steps=4",
    "trainer.threads=1",
)
SHARD, CLIP = "trainer.shard=true", "trainer.clip=0.1"
RUNS = 12


def state_bytes(state: Any) -> int:
    """Return the bytes of weights, average and optimizer that this process keeps between two steps."""
    slots = [value for one in state.optimizer.state.values() for value in one.values() if value.ndim]
    kept = [*state.model.parameters(), *state.average.module.parameters(), *slots]
    return sum(distributed.own(value).detach().untyped_storage().nbytes() for value in kept)


class Pair:
    """One of two processes, which trains several times; each time needs a port of its own."""

    def __init__(self, rank: int, ports: Sequence[int], folder: Path) -> None:
        self.rank, self.ports, self.folder = rank, iter(ports), folder
        self.facts: dict[str, Any] = {}

    def train(self, name: str, *words: str, halt: bool = False) -> None:
        os.environ["MASTER_PORT"] = str(next(self.ports))
        with pytest.MonkeyPatch.context() as patch:
            fit = trainer.Trainer.fit
            patch.setattr(trainer.Trainer, "fit", lambda fitter, *a: self.keep(name, fitter, fit(fitter, *a)))
            patch.setattr(optimizer, "_fused", lambda groups: None)  # it rounds by the place within a tensor
            if halt and self.rank == 1:
                stop_at(patch, 1)
            if "poisoned" in name:
                poison(patch, {1})
            code = running.train(self.folder / name, *WORDS, *words)
        assert code == (STOPPED if halt else 0)

    def keep(self, name: str, fitter: trainer.Trainer, progress: Any) -> Any:
        self.facts[name] = {"bytes": state_bytes(fitter.state), "skipped": progress.skipped}
        return progress

    def resume(self, name: str, *words: str) -> None:
        self.train(name, *words, f"trainer.resume={self.folder / name}")


def plainly(pair: Pair) -> None:
    pair.train("whole")
    pair.train("divided", SHARD)


def further(pair: Pair) -> None:
    plainly(pair)
    pair.train("whole_clip", CLIP)
    pair.train("divided_clip", CLIP, SHARD, "trainer.checkpointing=true", "trainer.probes=true")
    pair.train("halted", SHARD, halt=True)
    if pair.rank == 0:
        shutil.copytree(pair.folder / "halted", pair.folder / "then_whole")
    pair.resume("halted", SHARD)
    pair.resume("then_whole", "trainer.shard=false")
    pair.train("then_divided", halt=True)
    pair.resume("then_divided", SHARD)
    pair.train("poisoned", SHARD, "trainer.precision=fp16")


def work(rank: int, ports: Sequence[int], folder: str, runs: Callable[[Pair], None]) -> None:
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
    torch.set_num_threads(1)
    pair = Pair(rank, ports, Path(folder))
    runs(pair)
    (pair.folder / f"facts{rank}.json").write_text(json.dumps(pair.facts))


def start(folder: Path, runs: Callable[[Pair], None]) -> Path:
    mp.start_processes(work, args=(free_ports(RUNS), str(folder), runs), nprocs=2, start_method="fork")
    return folder


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("two"), plainly)


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("disturbed"), further)


def facts(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads((folder / f"facts{rank}.json").read_text())[name] for rank in range(2)]


def files(run: Path) -> dict[str, Tensor]:
    """Return the tensors of a run's last checkpoint and of its published weights, by file and name."""
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name))
    paths = [*newest.glob("*.safetensors"), *run.glob("*.safetensors")]
    return {f"{path.name}:{name}": value for path in paths for name, value in load_file(path).items()}


@pytest.mark.slow
def test_two_processes_that_divide_a_model_train_as_two_whole_ones(of_two: Path) -> None:
    """Also the files of optimizer and average. A sum of two gradients has one order, so the numbers are equal."""
    whole, divided = files(of_two / "whole"), files(of_two / "divided")
    assert whole.keys() == divided.keys()
    assert [name for name, value in whole.items() if not torch.equal(value, divided[name])] == []
    assert_equal_runs(of_two / "whole", of_two / "divided")


@pytest.mark.slow
def test_the_clipped_norm_of_rows_is_that_of_all(disturbed: Path) -> None:
    """Its sum has another order, so numbers are equal to rounding; norms of halves would change them by a third."""
    runs = [running.metrics(disturbed / name) for name in ("whole_clip", "divided_clip")]
    first, second = ([line["train/loss/total"] for line in run if "train/loss/total" in line] for run in runs)
    assert len(first) == 4
    assert first == pytest.approx(second, rel=1e-5)
    moments = [
        torch.cat(
            [value.flatten() for key, value in files(disturbed / f"{name}_clip").items() if key.endswith("exp_avg")]
        )
        for name in ("whole", "divided")
    ]
    assert (moments[0] - moments[1]).norm() <= 1e-4 * moments[0].norm()  # Adam hides the scale from the weights


@pytest.mark.slow
def test_each_process_keeps_half_of_weights_average_and_optimizer(of_two: Path) -> None:
    whole = facts(of_two, "whole")[0]["bytes"]
    for one in facts(of_two, "divided"):
        assert 0.49 * whole < one["bytes"] < 0.55 * whole  # rows of odd numbers are filled up


@pytest.mark.slow
def test_a_divided_run_resumes_divided_or_whole_and_a_whole_one_divided(disturbed: Path) -> None:
    for name in ("halted", "then_whole", "then_divided"):
        assert_equal_runs(disturbed / "divided", disturbed / name)
    assert "trainer.shard" in (disturbed / "then_whole" / "train.log").read_text()
    assert "trainer.shard" not in (disturbed / "halted" / "train.log").read_text().split("resuming at")[1]


@pytest.mark.slow
def test_a_gradient_that_is_not_finite_skips_the_step_in_both(disturbed: Path) -> None:
    assert [one["skipped"] for one in facts(disturbed, "poisoned")] == [1, 1]
    assert all(value.isfinite().all() for value in files(disturbed / "poisoned").values())


def test_blocks_are_the_repeated_parts_of_an_encoder_that_a_pass_calls() -> None:
    encoder = MixTransformer(3, (4, 8, 20, 32), (1, 2, 1, 1))
    assert sharding.blocks(encoder, 3, CPU) == [part for part in encoder.modules() if isinstance(part, Block)]
    for name, count in (("vit_tiny_patch16_224", 12), ("convnext_atto", 12), ("resnet18", 8)):
        found = sharding.blocks(timm := Timm(3, name), 3, CPU)
        assert len(found) == count
        assert timm.training


def test_parts_that_are_called_twice_or_share_weights_are_no_blocks() -> None:
    class Twice(Encoder):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)) for _ in range(4))
            self.parts[3][0].weight = self.parts[2][0].weight  # pyright: ignore

        def forward(self, image: Tensor) -> Pyramid:
            x = self.parts[0](self.parts[0](self.parts[1](image)))
            return Pyramid([self.parts[3](self.parts[2](x))], [None])

    model = Twice()
    assert sharding.blocks(model, 3, CPU) == [model.parts[1]]


def test_one_process_and_what_has_no_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"trainer\.shard=true: this run is one process.* add trainer\.devices=2"):
        running.train(tmp_path, SHARD, "trainer.max_steps=1")
    monkeypatch.setattr(distributed, "world", lambda: 2)
    model = nn.Linear(2, 2)
    sharding.require(model)
    model.scale = nn.Parameter(torch.ones(()))
    with pytest.raises(UserError, match="parameter scale is a single number"):
        sharding.require(model)
    with pytest.raises(UserError, match="solved in closed form"):
        sharding.require(PCA({"image": HeadSpec(3, kind="values")}, 3, (0.5,) * 3, (0.5,) * 3))


def test_compiled_graphs_are_refused() -> None:
    with pytest.raises(UserError, match=r"trainer\.shard=true with trainer\.compile=true.* set one of them to false"):
        composed(SHARD, "trainer.compile=true")
