"""The error that users see. It stands apart from `types.py` so that the command line need not wait for torch."""

from __future__ import annotations


class UserError(ValueError):
    """Something the user can mend. The message is one line: what, in which file or key, and what to do about it."""
