"""Settings that decoding does not use, with the reason: `Codec.unused` of several codecs."""

from __future__ import annotations

TARGETS = "it makes the targets of losses"


def targets(*keys: str) -> dict[str, str]:
    """Return settings of `encode` alone, each with the reason."""
    return dict.fromkeys(keys, TARGETS)
