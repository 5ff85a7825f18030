"""MSE, PSNR and SSIM against torchmetrics."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from densepred.metric.reconstruction import Reconstruction
from densepred.ops.score.ssim import ssim
from densepred.types import Annotation, Info

SIZES = [(37, 45), (11, 11), (64, 12), (5, 90)]


def pairs(count: int = 6, channels: int = 3) -> tuple[list[Annotation], list[Annotation]]:
    generator = torch.Generator().manual_seed(0)
    guesses, truths = [], []
    for i in range(count):
        size = SIZES[i % len(SIZES)]
        image = torch.rand(channels, *size, generator=generator)
        smooth = torch.nn.functional.avg_pool2d(image, 3, 1, 1)
        guesses.append(Annotation(size, image=smooth + 0.1 * torch.randn(image.shape, generator=generator)))
        truths.append(Annotation(size, image=smooth.mul(255).round().to(torch.uint8) if i % 2 else smooth))
    return guesses, truths


def unit(image: torch.Tensor) -> torch.Tensor:
    return image.double() / 255 if image.dtype == torch.uint8 else image.double()


def scored(guesses: list[Annotation], truths: list[Annotation]) -> Reconstruction:
    metric = Reconstruction(Info())
    metric.update(guesses, truths)
    return metric


def windows(a: torch.Tensor, b: torch.Tensor) -> float:
    """torchmetrics' similarity where its windows lie in the image; its own mean counts a mirrored border too."""
    _, full = structural_similarity_index_measure(unit(a)[None], unit(b)[None], data_range=1.0, return_full_image=True)
    return full[..., 5:-5, 5:-5].mean().item()


@pytest.mark.parametrize("channels", [1, 3])
def test_scores_are_those_of_torchmetrics(channels: int) -> None:
    guesses, truths = pairs(channels=channels)
    found = scored(guesses, truths).compute()
    flat = [torch.cat([unit(a.image).flatten() for a in side]) for side in (guesses, truths)]
    assert found["mse"] == pytest.approx(torch.mean((flat[0] - flat[1]) ** 2).item(), rel=1e-12)
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(*flat, data_range=1.0).item(), rel=1e-6)
    each = [windows(a.image, b.image) for a, b in zip(guesses, truths, strict=True) if min(a.size) >= 11]
    assert len(each) < len(guesses)
    assert found["ssim"] == pytest.approx(sum(each) / len(each), rel=1e-6)


def test_structural_similarity_is_the_formula_in_every_window() -> None:
    a, b = torch.rand(2, 1, 1, 13, 12, dtype=torch.float64)
    x = torch.arange(11.0, dtype=torch.float64) - 5
    window = torch.exp(-(x[:, None] ** 2 + x**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(3):
        for left in range(2):
            u, v = (i[0, 0, top : top + 11, left : left + 11] for i in (a, b))
            m, n = (window * u).sum(), (window * v).sum()
            s, t, c = (window * u * u).sum() - m * m, (window * v * v).sum() - n * n, (window * u * v).sum() - m * n
            below = (m * m + n * n + 1e-4) * (s + t + 9e-4)
            values.append((2 * m * n + 1e-4) * (2 * c + 9e-4) / below)
    assert ssim(a, b).item() == pytest.approx(torch.stack(values).mean().item(), rel=1e-12)


def test_parts_merged_in_any_order_equal_the_whole_to_the_last_bit() -> None:
    guesses, truths = pairs(7)
    first, second = scored(guesses[1::2], truths[1::2]), scored(guesses[::2], truths[::2])
    first.merge(second)
    assert first.compute() == scored(guesses, truths).compute()


def test_perfect_images_have_no_ratio_and_nothing_has_no_score() -> None:
    _, truths = pairs(1)
    assert scored(truths, truths).compute() == {"mse": 0.0, "psnr": None, "ssim": pytest.approx(1.0)}
    assert scored([], []).compute() == {"mse": None, "psnr": None, "ssim": None}
    tiny = [Annotation((4, 30), image=torch.rand(3, 4, 30))]
    assert scored(tiny, tiny).compute()["ssim"] is None
