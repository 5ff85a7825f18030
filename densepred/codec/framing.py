"""Which predictions can be brought back to the image that they were made of."""

from __future__ import annotations

from densepred.types import Frame, UserError


def check_whole(frame: Frame) -> None:
    """Refuse an input that is not the whole image, perhaps at another size."""
    if not frame.resized:
        raise UserError(
            f"{frame.id}: only from the whole image or a resize of it can a prediction be brought back; "
            "leave crops and warps out of transform.valid"
        )
