"""A check that predictions can be resized to the image that they were made from."""

from __future__ import annotations

from densepred.types import Frame, UserError


def check_whole(frame: Frame) -> None:
    """Raise UserError if the input is neither the whole image nor a resize of it."""
    if not frame.resized:
        raise UserError(
            f"{frame.id}: a prediction fits the image only if the input is the whole image or a resize of it; "
            "leave crops and warps out of transform.valid"
        )
