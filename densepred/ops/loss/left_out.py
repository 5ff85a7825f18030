"""Predictions where nothing counts: they are replaced before the arithmetic, because 0 times inf is NaN.

B images, C channels, h x w a prediction, H x W the ground truth.
"""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.ops.resize.bands import Enlarger
from densepred.types import VOID


def leave_out(pred: Tensor, counts: Tensor) -> Tensor:
    """Return the prediction with 0 where `counts` is False; its gradient is exactly 0 there.

    On a CPU finite predictions are returned as they are. Looking at them would make an accelerator wait.
    """
    if pred.device.type == "cpu" and _finite(pred):
        return pred
    return torch.where(counts, pred, torch.zeros((), dtype=pred.dtype, device=pred.device))


def leave_out_coarse(
    pred: Tensor, kind: str, target: Tensor, weight: Tensor | None, align_corners: bool = False
) -> Tensor:
    """Leave out the locations of (B, C, h, w) that reach, enlarged to (H, W), no pixel that counts.

    kind: "classes" for a target (B, H, W) with VOID, "values" for (B, C, H, W)
    weight: (B, H, W), or broadcastable to the target; None if all pixels have the same
    """
    if (kind != "classes" and weight is None) or (pred.device.type == "cpu" and _finite(pred)):
        return pred
    counts = pixels_that_count(kind, target, weight)
    source, size = (pred.shape[-2], pred.shape[-1]), (target.shape[-2], target.shape[-1])
    if source != size:
        with torch.autocast(pred.device.type, enabled=False), torch.no_grad():
            enlarger = Enlarger(source, size, align_corners, torch.float32, pred.device)
            reached = torch.zeros(len(counts), 1, *source, device=pred.device)
            enlarger.add_adjoint(reached, counts.float(), 0, size[0])
            counts = reached > 0
    return leave_out(pred, counts)


def pixels_that_count(kind: str, target: Tensor, weight: Tensor | None) -> Tensor:
    """Mark the pixels with a weight in any channel that are not void, (B, 1, H, W) bool."""
    masks = [(target != VOID)[:, None]] if kind == "classes" else []
    if weight is not None:
        used = weight[:, None] if weight.ndim == 3 else weight
        masks.append((used != 0).any(1, keepdim=True).expand(len(target), 1, *target.shape[-2:]))
    return masks[0] & masks[-1]


def _finite(x: Tensor) -> bool:
    return bool(x.detach().sum(dtype=torch.promote_types(x.dtype, torch.float32)).isfinite())
