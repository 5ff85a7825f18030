"""Settings of torch for accelerators, tried without one."""

from __future__ import annotations

import os
from typing import cast

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from densepred import distributed
from densepred.cli import compose
from densepred.contracts import Model
from densepred.encoder.timm import Timm
from densepred.engine.evaluate import any_size
from densepred.errors import Notice
from densepred.jobs import parts, placement
from densepred.settings import TrainSettings
from tests.conftest import composed

CUDA = torch.device("cuda", 1)


def settings(*words: str) -> TrainSettings:
    return compose.settings(composed(*words))


def test_synchronised_norms_compute_what_the_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations are parts of timm's norms: without them several GPUs would train another network."""
    torch.manual_seed(0)
    encoder = Timm(3, "mobilenetv3_small_050").eval()
    assert any(isinstance(part, BatchNormAct2d) for part in encoder.modules())
    image = torch.randn(1, 3, 64, 64)
    expected, names = encoder(image).features, list(encoder.state_dict())
    assert placement._synchronised(cast(Model, encoder), settings(), CUDA) is encoder  # one process
    monkeypatch.setattr(distributed, "world", lambda: 2)
    assert placement._synchronised(cast(Model, encoder), settings("trainer.sync_norm=false"), CUDA) is encoder
    with pytest.warns(Notice, match=r"on CUDA alone; on cpu each of 2 processes takes those of its own images"):
        assert placement._synchronised(cast(Model, encoder), settings(), torch.device("cpu")) is encoder
    other = placement._synchronised(cast(Model, encoder), settings(), CUDA)
    norms = [part for part in other.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    assert norms
    assert all(isinstance(part, nn.SyncBatchNorm) for part in norms)
    found = other.eval()(image)
    assert all(torch.equal(a, b) for a, b in zip(found.features, expected, strict=True))
    assert list(other.state_dict()) == names


def test_deterministic_runs_fix_the_workspace_of_cublas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    placement.configure_torch(settings("trainer.deterministic=false"), CUDA)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    placement.configure_torch(settings(), CUDA)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert torch.get_float32_matmul_precision() == "highest"


def test_algorithms_are_tried_for_images_of_one_size_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    for words, expected in ((("data.crop=[32,32]",), True), ((), False)):
        placement.configure_torch(settings("trainer.deterministic=false", *words), CUDA)
        assert torch.backends.cudnn.benchmark is expected
    torch.backends.cudnn.benchmark = True
    with any_size():
        assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark


def test_nccl_learns_its_device_and_is_aborted_by_a_process_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "device", lambda: CUDA)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(distributed.meeting, "of_first", lambda *a, **k: None)
    monkeypatch.setattr(distributed.meeting, "of_this_attempt", lambda *a, **k: None)
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda *a, **k: told.append((a[0], k["device_id"])))
    assert distributed.join() == CUDA
    assert told == [("nccl", CUDA)]
    store = torch.distributed.HashStore()
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 0)
    monkeypatch.setattr(distributed.dist.distributed_c10d, "_get_default_store", lambda: store)
    monkeypatch.setattr(distributed.dist, "get_backend", lambda: "nccl")
    monkeypatch.setattr(distributed.dist.distributed_c10d, "_abort_process_group", lambda: told.append("aborted"))
    monkeypatch.setattr(distributed.dist, "destroy_process_group", lambda: told.append("destroyed"))
    distributed.leave(failed=True)
    distributed.leave()
    assert told[1:] == ["aborted", "destroyed"]
    assert store.check([distributed.LEFT]), "the others may go"


def test_an_autoencoder_of_one_size_is_searched_at_this_size() -> None:
    words = ("task=autoencoder", "model=autoencoder", "encoder.widths=[4,4]", "model.values=3", "model.size=[16,24]")
    chosen = settings(*words)
    info = parts.dataset(chosen.dataset, "valid").info
    _, model = parts.task_and_model(chosen.task, chosen.model, info)
    assert not distributed.unused(model, info.channels, torch.device("cpu"))
