"""The default colours of classes, as people with each kind of colour vision see them."""

from __future__ import annotations

import numpy as np
import pytest

from densepred.dataset.palette import SEQUENCE, default_palette, voc_palette

DEFICIENCIES = {  # severity 1.0, Machado, Oliveira and Fernandes 2009, on linear RGB
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]


def lab(colours: object, deficiency: str) -> np.ndarray:
    """CIELAB (D65) of sRGB colours (N, 3) as seen with a deficiency."""
    values = np.asarray(colours, float) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.asarray(DEFICIENCIES[deficiency]).T, 0, 1)
    ratio = linear @ np.asarray(XYZ).T / np.array([0.95047, 1, 1.08883])
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def closest(colours: object, deficiency: str) -> float:
    """The smallest Euclidean distance in CIELAB (CIE 1976) between two colours."""
    found = lab(colours, deficiency)
    apart = np.linalg.norm(found[:, None] - found[None], axis=-1)
    return float(apart[np.triu_indices(len(found), 1)].min())


def test_lab_has_the_values_of_the_standard() -> None:
    assert lab([(255, 0, 0)], "none")[0] == pytest.approx([53.24, 80.09, 67.20], abs=0.02)
    assert lab([(255, 255, 255)], "none")[0] == pytest.approx([100, 0, 0], abs=0.02)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_default_colours_differ_for_every_kind_of_colour_vision(deficiency: str) -> None:
    """Two of VOC's first 24 fall together with a deficiency; those here stay several just noticeable steps apart."""
    assert closest(default_palette(8), deficiency) > 15
    assert closest(default_palette(24), deficiency) > 8
    assert closest(default_palette(24), deficiency) > closest(voc_palette(24), deficiency)


def test_the_sequence_begins_with_okabe_and_ito_and_never_repeats() -> None:
    ito = [(0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0)]
    assert list(default_palette(8)) == [*ito, (204, 121, 167)]
    assert len(set(default_palette(400))) == 400
    assert default_palette(30)[:24] == SEQUENCE
