"""The image as its own annotation, there and back, and what is done to the input alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from densepred.codec.autoencoder import Autoencoder
from densepred.errors import UserError
from densepred.types import Annotation, Frame, Info

INFO = Info()


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("size", [(37, 45), (1, 7)])
def test_decoding_ideal_outputs_gives_the_image(size: tuple[int, int]) -> None:
    codec = Autoencoder(INFO)
    image = torch.randint(0, 256, (3, *size), generator=drawn(), dtype=torch.uint8)
    targets = {name: value[None] for name, value in codec.encode(Annotation(size, image=image)).items()}
    found = codec.decode(codec.perfect_outputs(targets), [Frame("x", size)], align_corners=False)[0]
    assert torch.equal(found.image.mul(255).round().to(torch.uint8), image)
    floats = codec.encode(Annotation(size, image=image.float() / 255))
    assert torch.equal(floats["image"][None], targets["image"])


def test_a_resized_input_is_decoded_at_the_size_of_its_image_and_not_clipped() -> None:
    scale = ((60 / 24, 0.0, (60 / 24 - 1) / 2), (0.0, 50 / 20, (50 / 20 - 1) / 2))
    answer = torch.randn(1, 3, 20, 24)
    found = Autoencoder(INFO).decode({"image": answer}, [Frame("x", (50, 60), scale)], align_corners=False)[0]
    assert torch.equal(found.image, F.interpolate(answer, (50, 60), mode="bilinear")[0])
    assert found.image.min() < 0


def test_a_cropped_input_is_refused_with_the_remedy() -> None:
    cropped = Frame("x", (50, 60), ((1.0, 0.0, 7.0), (0.0, 1.0, 0.0)))
    with pytest.raises(UserError, match=r"leave crops and warps out of transform\.valid"):
        Autoencoder(INFO).decode({"image": torch.rand(1, 3, 20, 24)}, [cropped], align_corners=False)


def test_noise_has_the_deviation_that_was_asked_for_and_follows_from_the_generator() -> None:
    codec = Autoencoder(INFO, noise=0.05)
    image = torch.full((3, 100, 120), 128, dtype=torch.uint8)
    noisy = codec.corrupt(image, drawn(1))
    assert (noisy - 128 / 255).std().item() == pytest.approx(0.05, rel=0.02)
    assert torch.equal(noisy, codec.corrupt(image, drawn(1)))
    assert not torch.equal(noisy, codec.corrupt(image, drawn(2)))
    assert (image == 128).all()
    strong = Autoencoder(INFO, noise=2.0).corrupt(image, drawn())
    assert (strong.min(), strong.max()) == (0, 1)


def test_masked_pixels_are_black_in_every_channel() -> None:
    masked = Autoencoder(INFO, masked=0.3).corrupt(torch.full((3, 100, 120), 128, dtype=torch.uint8), drawn())
    black = masked == 0
    assert torch.equal(black[0], black[2])
    assert black.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert (masked[~black] == 128 / 255).all()


def test_without_damage_the_input_is_left_as_it_was_read() -> None:
    image = torch.zeros(3, 4, 5, dtype=torch.uint8)
    assert Autoencoder(INFO).corrupt(image, drawn()) is image


@pytest.mark.parametrize("wrong", [{"noise": -0.1}, {"masked": 1.0}, {"masked": -0.5}])
def test_impossible_damage_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match=rf"task\.codec\.{next(iter(wrong))}"):
        Autoencoder(INFO, **wrong)
