"""Non-maximum suppression of people by the similarity of their keypoints (OKS).

N people, K keypoints.
"""

from __future__ import annotations

import torch
from torch import Tensor


def similarity(keypoints: Tensor, areas: Tensor, sigmas: Tensor) -> Tensor:
    """Return COCO's object keypoint similarity of each two people, (N, N), with the mean of their areas.

    It counts keypoints that both have, those with a third value above 0; without any the similarity is 0.

    keypoints: (N, K, 3) x, y and confidence
    areas: (N,) in square pixels
    sigmas: (K,) of COCO, see `types.Info.sigmas`
    """
    points, seen = keypoints[..., :2], keypoints[..., 2] > 0
    both = seen[:, None] & seen[None]
    squared = (points[:, None] - points[None]).square().sum(-1)
    scale = (areas[:, None] + areas[None])[..., None] / 2
    near = torch.exp(-squared / (2 * sigmas) ** 2 / (2 * scale.clamp_min(1e-12)))
    return (near * both).sum(-1) / both.sum(-1).clamp_min(1)


def suppress(keypoints: Tensor, scores: Tensor, areas: Tensor, sigmas: Tensor, threshold: float) -> Tensor:
    """Return the indices of people to keep, by falling score; no two are more similar than `threshold`.

    Greedy, best first: a person that was suppressed suppresses no other.
    """
    order = scores.argsort(descending=True, stable=True)
    alike = (similarity(keypoints[order], areas[order], sigmas) > threshold).cpu()
    gone = torch.zeros(len(order), dtype=torch.bool)
    kept = []
    for i in range(len(order)):
        if not gone[i]:
            kept.append(i)
            gone |= alike[i]
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]
