"""Ends of a command that code of the user brings about, by `sys.exit` in the middle of the work."""

from __future__ import annotations

import traceback

from densepred.errors import UserError


def refused(error: SystemExit) -> UserError:
    """Return the error for a call of `sys.exit` that is none of ours: its file and line, and its code."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else "code of your own"
    return UserError(f"{place}: exit is called in the middle of the work, with code {error.code}; raise an error there")
