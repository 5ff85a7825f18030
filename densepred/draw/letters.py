"""Names in the letters of Pillow's own font, which has those of ASCII alone and shows others as one empty box."""

from __future__ import annotations

import unicodedata

from densepred import output

APART = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "æ": "ae", "Æ": "AE", "œ": "oe", "đ": "d"})
"""Latin letters that Unicode does not take apart."""


def name(text: str, longest: int) -> str:
    """Return a name as it is drawn: on one line, at most `longest` characters, without accents.

    Letters of other scripts become their code points, so that two names differ.
    """
    parts = unicodedata.normalize("NFKD", output.name(text, longest).translate(APART))
    return "".join(_drawn(one) for one in parts if not unicodedata.combining(one))


def _drawn(letter: str) -> str:
    return letter if letter.isascii() else f"{ord(letter):X}"
