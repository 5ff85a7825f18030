"""Nearest of K centers to each of M points: exact, without the M x K distances.

The plane is divided into cells, coarse to fine. A cell drops a center that is farther from the
nearest point of the cell than another center from the farthest point. A point is
compared with the centers of its cell only, most often one to three.
"""

from __future__ import annotations

import torch
from torch import Tensor

SPLIT = 4  # cells per axis of a coarser cell
SMALLEST = 16.0  # pixels; smaller cells are not divided
TABLE = 2**21
"""Largest number of entries of the table of cells and centers, and of distances in memory: 8 MB of float32."""

DISTANCES = 2**26
"""Distances in memory on an accelerator: 256 MB. All of them take less time there than kernels and waits of cells."""

SLACK = 1e-5  # of a squared distance: rounding must not drop a center


def nearest_center(x: Tensor, y: Tensor, centers: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the index of the nearest center per point, (M,) int64; the first of equally near ones.

    x, y: (M,) float; NaN counts as 0
    centers: (K, 2) x and y, K > 0
    size: height and width of the image; points outside it are exact too, at a higher cost
    """
    x, y = x.nan_to_num(), y.nan_to_num()
    if len(centers) == 1:
        return torch.zeros(len(x), dtype=torch.int64, device=x.device)
    if x.device.type != "cpu":
        return _of_all(x, y, centers, DISTANCES)
    table, counts, (rows, columns) = _table(centers, size)
    height, width = size
    column, row = ((x + 0.5) * (columns / width)).floor(), ((y + 0.5) * (rows / height)).floor()
    outside = (column < 0) | (row < 0) | (column >= columns) | (row >= rows)
    cell = (row * columns + column).masked_fill_(outside, 0).long()
    found = table[:, 0][cell]
    doubtful = (counts > 1)[cell].logical_and_(~outside).nonzero()[:, 0]
    found[doubtful] = _among(x[doubtful], y[doubtful], cell[doubtful], table, counts, centers)
    lost = outside.nonzero()[:, 0]
    found[lost] = _of_all(x[lost], y[lost], centers, TABLE)
    return found


def _of_all(x: Tensor, y: Tensor, centers: Tensor, most: int) -> Tensor:
    """Compare each point with every center, `most` distances at a time."""
    step = max(1, most // len(centers))
    parts = [
        _squares(a[:, None], b[:, None], centers).argmin(1) for a, b in zip(x.split(step), y.split(step), strict=True)
    ]
    return torch.cat(parts)


def _among(x: Tensor, y: Tensor, cell: Tensor, table: Tensor, counts: Tensor, centers: Tensor) -> Tensor:
    """Return the nearest candidate of each point's cell; step j compares the j-th candidates."""
    best = table[:, 0][cell]
    least = _squares(x, y, centers[best])
    more = torch.arange(len(x), device=x.device)
    for j in range(1, table.shape[1]):
        more = more[(counts > j)[cell[more]]]
        other = table[:, j][cell[more]]
        distance = _squares(x[more], y[more], centers[other])
        closer = distance < least[more]
        changed = more[closer]
        best[changed], least[changed] = other[closer], distance[closer]
    return best


def _squares(x: Tensor, y: Tensor, centers: Tensor) -> Tensor:
    return (x - centers[..., 0]).square_().add_((y - centers[..., 1]).square_())


def _table(centers: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, tuple[int, int]]:
    """Return the candidates of each cell (cells, m), ascending and padded, their counts, and rows and columns."""
    height, width = size
    rows = columns = 1
    table = torch.arange(len(centers), device=centers.device)[None]
    counts = torch.full((1,), len(centers), device=centers.device)
    while max(height / rows, width / columns) > SMALLEST and table.shape[1] > 1:
        down = SPLIT if height / rows > SMALLEST else 1
        across = SPLIT if width / columns > SMALLEST else 1
        if table.numel() * down * across > TABLE:
            break
        parents = torch.arange(rows * columns, device=centers.device).view(rows, columns)
        parents = parents.repeat_interleave(down, 0).repeat_interleave(across, 1).flatten()
        rows, columns = rows * down, columns * across
        table, counts = _pruned(table[parents], counts[parents], centers, (height / rows, width / columns), columns)
    return table, counts, (rows, columns)


def _pruned(
    table: Tensor, counts: Tensor, centers: Tensor, side: tuple[float, float], columns: int
) -> tuple[Tensor, Tensor]:
    """Drop the candidates that are nearest nowhere in their cell; `side` is the height and width of a cell."""
    number = torch.arange(len(table), device=table.device)
    cell_centers = torch.stack([(number % columns + 0.5) * side[1] - 0.5, (number // columns + 0.5) * side[0] - 0.5], 1)
    half = centers.new_tensor([side[1] / 2, side[0] / 2])
    apart = (centers[table] - cell_centers[:, None]).abs_()
    closest = (apart - half).clamp_min_(0).square_().sum(-1)
    farthest = apart.add_(half).square_().sum(-1)
    real = torch.arange(table.shape[1], device=table.device) < counts[:, None]
    bound = farthest.masked_fill_(~real, torch.inf).amin(1, keepdim=True) * (1 + SLACK) + SLACK
    kept = (closest <= bound).logical_and_(real)
    counts = kept.sum(1)
    # A stable sort of kept before not kept leaves candidates in rising order.
    order = kept.logical_not().to(torch.uint8).argsort(dim=1, stable=True)[:, : int(counts.max())]
    return table.gather(1, order), counts
