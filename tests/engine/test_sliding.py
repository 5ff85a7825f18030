"""Strips of the sliding window against maps of the whole image, blended by obvious code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.dataset.image_rows import Loaded
from densepred.engine import sliding
from densepred.engine.flip import HeadOutputs
from densepred.engine.sliding import Network, Windows
from densepred.ops.geometry.mirror import mirrored
from densepred.ops.geometry.tiling import blend_weights, cut, positions
from densepred.types import HeadSpec

HEADS = {"semantic": HeadSpec(3, kind="classes"), "binary": HeadSpec(1, kind="classes"), "height": HeadSpec(2)}
CPU = torch.device("cpu")


class Layers(Model):
    """One convolution per head, so that a prediction depends on the position in its tile."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleDict({name: nn.Conv2d(3, spec.channels, 5, padding=2) for name, spec in HEADS.items()})

    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        return {name: [layer(image)] for name, layer in self.layers.items()}


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.setattr(sliding, "STRIP", 200)  # some strips of a row of tiles
    model = Layers().eval()
    return Network(model, HEADS, lambda x, run: {name: found[-1] for name, found in model(x).items()}, CPU)


def shares(network: Network, x: Tensor) -> HeadOutputs:
    """Return probabilities, or values, of one tile."""
    found = {name: value[-1] for name, value in network.model(x).items()}
    two = torch.cat([torch.zeros_like(found["binary"]), found["binary"]], 1)
    return {"semantic": found["semantic"].softmax(1), "binary": two.softmax(1), "height": found["height"]}


def blended(network: Network, x: Tensor, tile: int, overlap: float) -> HeadOutputs:
    size = x.shape[-2:]
    side = [min(tile, length) for length in size]
    weight, norm, sums = blend_weights((side[0], side[1])), torch.zeros(size), HeadOutputs()
    for top in positions(size[0], side[0], overlap):
        for left in positions(size[1], side[1], overlap):
            here = (..., slice(top, top + side[0]), slice(left, left + side[1]))
            norm[here] += weight
            for name, value in shares(network, x[here]).items():
                sums.setdefault(name, torch.zeros(1, value.shape[1], *size))[here] += value * weight
    return {name: value / norm for name, value in sums.items()}


def abutting(network: Network, x: Tensor, tile: int, overlap: float) -> HeadOutputs:
    size, out = x.shape[-2:], HeadOutputs()
    rows, columns = (cut(length, tile, overlap).windows(length) for length in size)
    for down, (a, b) in rows:
        for across, (c, d) in columns:
            for name, value in shares(network, mirrored(x, down, across)).items():
                full = out.setdefault(name, torch.zeros(1, value.shape[1], *size))
                full[..., a:b, c:d] = value[..., a - down[0] : b - down[0], c - across[0] : d - across[0]]
    return out


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(("tile", "overlap"), [(16, 0.5), (13, 0.3), (17, 0.0), (64, 0.5)])
@pytest.mark.parametrize(("blend", "slow"), [("gaussian", blended), ("none", abutting)])
@torch.inference_mode()
def test_strips_are_the_rows_of_the_whole_map_bit_by_bit(
    network: Network, blend: str, slow: Callable[..., HeadOutputs], tile: int, overlap: float, flipped: bool
) -> None:
    image = torch.rand(3, 43, 29, generator=torch.Generator().manual_seed(1))
    wanted = slow(network, image[None].flip(-1) if flipped else image[None], tile, overlap)
    rows: list[int] = []
    for top, strip in sliding.strips(network, Loaded(image), Windows(tile, overlap, blend), flipped):
        stop = top + strip["height"].shape[-2]
        rows += range(top, stop)
        for name, value in strip.items():
            assert torch.equal(value, wanted[name][..., top:stop, :])
    assert rows == list(range(43))
    full = sliding.whole(network, Loaded(image), Windows(tile, overlap, blend), flipped)
    assert all(torch.equal(full[name], wanted[name]) for name in HEADS)


@torch.inference_mode()
def test_tiles_in_batches_change_rounding_at_most(network: Network) -> None:
    image, sizes = torch.rand(3, 40, 70), list[int]()
    network.model.register_forward_pre_hook(lambda model, args: sizes.append(len(args[0])))
    one, three = (sliding.whole(network, Loaded(image), Windows(16, 0.5, "gaussian", batch)) for batch in (1, 3))
    assert all(torch.allclose(one[name], three[name], atol=1e-6) for name in HEADS)
    across, down = (len(positions(length, 16, 0.5)) for length in (70, 40))
    assert sizes == [1] * across * down + [3, 3, 2] * down
    assert across == 8


class Counted(Loaded):
    """Note which rows are asked for at once."""

    def __init__(self, pixels: Tensor) -> None:
        super().__init__(pixels)
        self.asked: list[tuple[int, int]] = []

    def read(self, start: int, stop: int) -> Tensor:
        self.asked.append((start, stop))
        return super().read(start, stop)


@pytest.mark.parametrize("blend", ["gaussian", "none"])
@torch.inference_mode()
def test_no_more_than_a_row_of_tiles_is_read_or_kept_at_once(network: Network, blend: str) -> None:
    image, highest = Counted(torch.rand(3, 150, 20)), 0
    for _, strip in sliding.strips(network, image, Windows(16, 0.5, blend)):
        highest = max(highest, strip["height"].untyped_storage().nbytes() // (4 * 2 * 20))
    assert max(stop - start for start, stop in image.asked) <= 16
    assert highest <= 16
