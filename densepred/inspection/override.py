"""Settings as the words that are typed for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from densepred.errors import in_shell


def typed(key: str, value: Any) -> str:
    """Return `key=value` as Hydra and the shell need it."""
    return in_shell(f"{key}={_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_text(entry)}' for name, entry in value.items())}}}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{','.join(map(_text, value))}]"
    return str(value)
