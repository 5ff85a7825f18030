"""Of people found twice the better one: suppression by the similarity of their keypoints.

N people, K keypoints.
"""

from __future__ import annotations

import torch
from torch import Tensor


def similarity(keypoints: Tensor, areas: Tensor, sigmas: Tensor) -> Tensor:
    """COCO's object keypoint similarity of each two of (N, K, 3) people: (N, N), with the mean of their areas.

    Over the keypoints that both have, those with a third number above 0; 0 where there is none.
    """
    points, seen = keypoints[..., :2], keypoints[..., 2] > 0
    both = seen[:, None] & seen[None]
    squared = (points[:, None] - points[None]).square().sum(-1)
    scale = (areas[:, None] + areas[None])[..., None] / 2
    near = torch.exp(-squared / (2 * sigmas) ** 2 / (2 * scale.clamp_min(1e-12)))
    return (near * both).sum(-1) / both.sum(-1).clamp_min(1)


def suppress(keypoints: Tensor, scores: Tensor, areas: Tensor, sigmas: Tensor, threshold: float) -> Tensor:
    """Which people to keep, by falling score: no two are more similar than `threshold`. Greedy, best first."""
    order = scores.argsort(descending=True, stable=True)
    alike = (similarity(keypoints[order], areas[order], sigmas) > threshold).cpu()
    gone = torch.zeros(len(order), dtype=torch.bool)
    kept = []
    for i in range(len(order)):
        if not gone[i]:
            kept.append(i)
            gone |= alike[i]
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]
