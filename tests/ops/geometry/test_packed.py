"""Tensors of several types in one buffer."""

from __future__ import annotations

import torch

from densepred.ops.geometry.packed import ALIGNMENT, Packer


def test_tensors_of_every_type_come_back_in_their_shapes() -> None:
    draw, packer = torch.Generator().manual_seed(0), Packer()
    stacks = [
        [torch.randint(0, 256, (3, 5, 7), generator=draw).to(torch.uint8)],
        [torch.randn(4, 3, generator=draw).T for _ in range(3)],
        [torch.randint(-9, 9, (), generator=draw) for _ in range(2)],
        [torch.rand(1, 11, generator=draw) > 0.5],
    ]
    places = [packer.add(stack[0].shape, stack[0].dtype, stack) for stack in stacks]
    buffer = packer.buffer()
    assert buffer.dtype == torch.uint8
    assert all(place.offset % ALIGNMENT == 0 for place in places)
    for place, stack in zip(places, stacks, strict=True):
        assert torch.equal(place.of(buffer), torch.stack(stack))


def test_a_tensor_is_converted_and_expanded() -> None:
    packer, third = Packer(), torch.tensor(1 / 3, dtype=torch.float64)
    place = packer.add((2, 3), torch.float32, [third, torch.ones(3).bool(), (torch.zeros(3), third)])
    halves = torch.stack([torch.zeros(3), torch.full((3,), 1 / 3)])
    assert torch.equal(place.of(packer.buffer()), torch.stack([torch.full((2, 3), 1 / 3), torch.ones(2, 3), halves]))
