"""Hints for misspelt words, and values in messages."""

from __future__ import annotations

import pytest

from densepred.errors import shown, suggest


@pytest.mark.parametrize(
    ("word", "otherwise", "count", "hint"),
    [
        ("unett", None, 1, "did you mean unet?"),
        ("resnet3", "see the list", 2, "did you mean resnet34 or resnet18?"),
        ("vgg", None, 1, "known: resnet18, resnet34, unet"),
        ("vgg", "see the list", 1, "see the list"),
        ("vgg", "", 1, ""),
    ],
)
def test_the_closest_words_are_suggested_or_the_alternative(
    word: str, otherwise: str | None, count: int, hint: str
) -> None:
    assert suggest(word, {"unet", "resnet34", "resnet18"}, otherwise, count) == hint


def test_without_words_nothing_is_known() -> None:
    assert suggest("x", []) == "known: none"


@pytest.mark.parametrize("value", ["é\n" * 100, 10**5000, None, 1.5], ids=["text", "number", "none", "float"])
def test_any_value_is_printed_in_one_short_line(value: object) -> None:
    text = shown(value)
    assert text.isascii()
    assert "\n" not in text
    assert 0 < len(text) <= 60
