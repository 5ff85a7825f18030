"""Names with letters that the font of the pictures does not have."""

from __future__ import annotations

import pytest
import torch

from densepred.draw import letters, matrix, panel


@pytest.mark.parametrize(
    ("name", "drawn"), [("Äpfel", "Apfel"), ("Straße", "Strasse"), ("e\u0301\u00e9", "ee"), ("細胞 1", "7D3080DE 1")]
)
def test_names_are_drawn_in_letters_that_the_font_has(name: str, drawn: str) -> None:
    assert letters.name(name, 20) == drawn


def test_legends_and_tables_show_no_empty_boxes() -> None:
    pictures = [
        [panel.drawn([(name, (1, 2, 3))], 200).numpy().tobytes() for name in names]
        + [matrix.draw(torch.ones(1, 1, dtype=torch.int64), [name], [name]).tobytes() for name in names]
        for names in (["Ärger"], ["Arger"])
    ]
    assert pictures[0] == pictures[1]
