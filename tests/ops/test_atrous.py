"""Atrous convolutions by single taps, against `nn.Conv2d`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from densepred.ops import atrous
from densepred.ops.atrous import AtrousConv2d, share
from tests.cases import few

CASES = {
    "one tap": ((2, 5, 8, 8), 3, (9, 9)),
    "corners": ((2, 5, 8, 12), 3, (6, 6)),
    "two rates": ((1, 3, 7, 16), 3, (7, 4)),
    "five taps per axis": ((1, 3, 9, 9), 5, (4, 4)),
    "a row": ((1, 3, 1, 16), 3, (12, 12)),
}


def pair(kernel: int, rates: tuple[int, int], channels: int, bias: bool = True) -> tuple[AtrousConv2d, nn.Conv2d]:
    padding = (rates[0] * (kernel // 2), rates[1] * (kernel // 2))
    ours = AtrousConv2d(channels, 4, kernel, 1, padding, rates, bias=bias)
    plain = nn.Conv2d(channels, 4, kernel, 1, padding, rates, bias=bias)
    plain.load_state_dict(ours.state_dict())
    return ours, plain


def gradients(conv: nn.Conv2d, x: Tensor) -> list[Tensor]:
    out = conv(x)
    weights = torch.linspace(-1, 1, out.numel()).view(out.shape)
    return [out, *torch.autograd.grad((out * weights).sum(), [x, *conv.parameters()])]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("name", few(CASES, ("corners", "two rates", "five taps per axis")))
def test_outputs_and_gradients_equal_the_library(name: str, layout: torch.memory_format) -> None:
    shape, kernel, rates = CASES[name]
    torch.manual_seed(0)
    ours, plain = pair(kernel, rates, shape[1])
    assert share(shape[-2:], ours.kernel_size, rates) <= atrous.MOST
    ours, plain = ours.to(memory_format=layout), plain.to(memory_format=layout)
    x = torch.randn(shape).to(memory_format=layout).requires_grad_()
    found, expected = gradients(ours, x), gradients(plain, x)
    assert "Taps" in type(found[0].grad_fn.next_functions[0][0]).__name__  # type: ignore[union-attr], of the sum with the bias
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_only_the_gradients_that_are_wanted_are_computed() -> None:
    torch.manual_seed(0)
    ours, plain = pair(3, (6, 6), 3, bias=False)
    for conv in (ours, plain):
        conv(torch.ones(1, 3, 8, 8)).sum().backward()
    assert ours.weight.grad is not None
    assert plain.weight.grad is not None
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad)
    ours.requires_grad_(False)
    x = torch.ones(1, 3, 8, 8, requires_grad=True)
    ours(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, torch.autograd.grad(plain(x).sum(), x)[0])


@pytest.mark.parametrize(("rate", "size"), [(36, 32), (24, 32), (12, 32), (24, 60), (1, 5)])
def test_the_share_counts_the_pixels_under_each_tap(rate: int, size: int) -> None:
    seen = torch.nn.functional.conv2d(torch.ones(1, 1, size, size), torch.ones(1, 1, 3, 3), padding=rate, dilation=rate)
    assert share((size, size), (3, 3), (rate, rate)) == pytest.approx(float(seen.sum()) / (9 * size * size))


def test_low_rates_and_half_precision_are_left_to_the_library() -> None:
    ours, plain = pair(3, (2, 2), 3)
    x = torch.randn(1, 3, 16, 16)
    assert torch.equal(ours(x), plain(x))
    ours, plain = pair(3, (6, 6), 3)
    x = torch.randn(1, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(x).dtype == plain(x).dtype == torch.bfloat16
        assert torch.equal(ours(x), plain(x))


@pytest.mark.parametrize("options", [{"stride": 2}, {"padding": 5}, {"groups": 2}, {"padding_mode": "reflect"}])
def test_other_convolutions_are_left_to_the_library(options: dict[str, Any]) -> None:
    whole = {"stride": 1, "padding": 6, "dilation": 6, **options}
    ours, plain = (kind(4, 4, 3, **whole) for kind in (AtrousConv2d, nn.Conv2d))
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(1, 4, 8, 8)
    assert torch.equal(ours(x), plain(x))


def test_exported_and_compiled_graphs_hold_one_convolution() -> None:
    ours, _ = pair(3, (6, 6), 3)
    graph = torch.export.export(ours, (torch.randn(1, 3, 8, 8),)).graph
    assert [node.target for node in graph.nodes if node.op == "call_function"] == [torch.ops.aten.conv2d.default]
