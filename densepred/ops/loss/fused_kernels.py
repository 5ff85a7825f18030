"""Triton kernels of losses of a softmax: coarse logits are enlarged, and their softmax taken, in registers alone.

B images, K classes, h x w logits, H x W the ground truth. A pixel mixes the four coarse locations (first, second row) x
(first, second column), as `F.interpolate` does; tables give them per row and column. Pixels with one first row and
column form a group. No kernel adds to memory that another program adds to, so results are the same in every run.

Arithmetic is in float32. A neighbour of share 0 is not read: 0 times inf is NaN.
"""

# Names depend on constants of compilation, which checkers of types take for variables.
# pyrefly: ignore-errors[unbound-name, bad-argument-type]
# pyright: reportPossiblyUnboundVariable=false, reportOperatorIssue=false, reportArgumentType=false, reportCallIssue=false

from __future__ import annotations

import triton
import triton.language as tl

SIZES = ["classes", "height", "width", "rows", "columns", "image", "row"]
"""Integers that change between batches: no kernel is compiled anew for them."""


@triton.jit
def _columns(row, left, right, across, inside):
    """Mix two columns of a coarse row; `row` points to its first location."""
    first = tl.load(row + left, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(row + right, mask=inside & (across > 0), other=0.0).to(tl.float32)
    return first * (1 - across) + second * across


@triton.jit
def _pixels(
    starts, counts, row_share, column_first, column_second, column_share, height, width, column,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Return the pixels of a program: those with counts of one first row, in a few columns.

    Their place in (B, H, W) and whether there are such, (Y, X); offsets of both columns and the share of the second,
    (X,); the share of the lower row, (Y, 1); whether the upper and the lower row are read, (X,).
    """
    x = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    y = tl.load(starts + tl.program_id(1)) + tl.arange(0, ROWS)
    in_x, in_y = x < width, tl.arange(0, ROWS) < tl.load(counts + tl.program_id(1))
    left = tl.load(column_first + x, mask=in_x, other=0) * column
    right = tl.load(column_second + x, mask=in_x, other=0) * column
    across = tl.load(column_share + x, mask=in_x, other=0.0)
    down = tl.load(row_share + y, mask=in_y, other=0.0)
    in_lower = in_x & (tl.max(down, 0) + tl.zeros_like(across) > 0)
    place = (tl.program_id(2).to(tl.int64) * height + y[:, None]) * width + x[None, :]
    return place, in_y[:, None] & in_x[None, :], left, right, across, down[:, None], in_x, in_lower


@triton.jit
def _upper_and_lower(logits, starts, row_first, row_second, image, row):
    """Return pointers to the two coarse rows of a program, of class 0."""
    start = tl.load(starts + tl.program_id(1))
    base = logits + tl.program_id(2).to(tl.int64) * image
    upper = base + tl.load(row_first + start).to(tl.int64) * row
    return upper, base + tl.load(row_second + start).to(tl.int64) * row


@triton.jit
def _enlarged(upper, lower, left, right, across, down, in_x, in_lower):
    """Return the logits of one class at the pixels of a program, (Y, X)."""
    above = _columns(upper, left, right, across, in_x)
    below = _columns(lower, left, right, across, in_lower)
    return above[None, :] * (1 - down) + tl.where(down > 0, below[None, :], 0.0) * down


@triton.jit(do_not_specialize=SIZES)
def score(
    logits, target, weight, normaliser, log_truth, counted,
    starts, counts, row_first, row_second, row_share, column_first, column_second, column_share,
    classes, height, width, image, channel, row, column,
    WEIGHTED: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write log(sum(exp(logits))), the log-probability of the label and the weight of each pixel, (B, H, W).

    The first is inf where a pixel does not count, and NaN, with the second, where no softmax is finite. Labels are in
    0 ... K - 1, or 255; any other makes the second NaN.
    """
    place, inside, left, right, across, down, in_x, in_lower = _pixels(
        starts, counts, row_share, column_first, column_second, column_share, height, width, column, ROWS, COLUMNS
    )
    label = tl.load(target + place, mask=inside, other=255).to(tl.int32)
    share = (label != 255).to(tl.float32)
    if WEIGHTED:
        share *= tl.load(weight + place, mask=inside, other=0.0).to(tl.float32)
    upper, lower = _upper_and_lower(logits, starts, row_first, row_second, image, row)
    largest = tl.full([ROWS, COLUMNS], -3e38, tl.float32)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    truth = tl.full([ROWS, COLUMNS], float("nan"), tl.float32)
    for k in range(classes):
        z = _enlarged(upper, lower, left, right, across, down, in_x, in_lower)
        # One exponential for each class: either the sum or the new term is scaled.
        scale = tl.exp(-tl.abs(z - largest))
        total = tl.where(z > largest, total * scale + 1, total + scale)
        largest = tl.maximum(largest, z)
        truth = tl.where(label == k, z, truth)
        upper += channel
        lower += channel
    found = largest + tl.log(total)
    found = tl.where(tl.abs(found) == float("inf"), float("nan"), found)
    tl.store(normaliser + place, tl.where(share != 0, found, float("inf")), mask=inside)
    tl.store(log_truth + place, tl.where(share != 0, truth - found, 0.0), mask=inside)
    tl.store(counted + place, share, mask=inside)


@triton.jit(do_not_specialize=SIZES)
def overlaps(
    logits, target, normaliser, counted, areas,
    starts, counts, row_first, row_second, row_share, column_first, column_second, column_share,
    classes, height, width, image, channel, row, column,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write intersections, predicted and true areas of each program's pixels, (B, programs, 3, K)."""
    place, inside, left, right, across, down, in_x, in_lower = _pixels(
        starts, counts, row_share, column_first, column_second, column_share, height, width, column, ROWS, COLUMNS
    )
    label = tl.load(target + place, mask=inside, other=255).to(tl.int32)
    share = tl.load(counted + place, mask=inside, other=0.0)
    known = tl.load(normaliser + place, mask=inside, other=float("inf"))
    upper, lower = _upper_and_lower(logits, starts, row_first, row_second, image, row)
    batch = tl.program_id(2).to(tl.int64)
    program = (batch * tl.num_programs(1) + tl.program_id(1)) * tl.num_programs(0) + tl.program_id(0)
    out = areas + program * 3 * classes
    for k in range(classes):
        p = tl.exp(_enlarged(upper, lower, left, right, across, down, in_x, in_lower) - known)
        p = tl.where(share != 0, p * share, 0.0)
        tl.store(out + k, tl.sum(tl.sum(tl.where(label == k, p, 0.0), 1), 0))
        tl.store(out + classes + k, tl.sum(tl.sum(p, 1), 0))
        tl.store(out + 2 * classes + k, tl.sum(tl.sum(tl.where(label == k, share, 0.0), 1), 0))
        upper += channel
        lower += channel


@triton.jit(do_not_specialize=SIZES)
def mean(
    logits, normaliser, by, out,
    starts, counts, row_first, row_second, row_share, column_first, column_second, column_share,
    classes, height, width, image, channel, row, column,
    LOGARITHM: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write the sum over classes of `by`, (B, K), times the probability or its logarithm, (B, H, W)."""
    place, inside, left, right, across, down, in_x, in_lower = _pixels(
        starts, counts, row_share, column_first, column_second, column_share, height, width, column, ROWS, COLUMNS
    )
    known = tl.load(normaliser + place, mask=inside, other=float("inf"))
    upper, lower = _upper_and_lower(logits, starts, row_first, row_second, image, row)
    found = tl.zeros([ROWS, COLUMNS], tl.float32)
    for k in range(classes):
        term = _enlarged(upper, lower, left, right, across, down, in_x, in_lower) - known
        if not LOGARITHM:
            term = tl.exp(term)
        found += term * tl.load(by + tl.program_id(2) * classes + k)
        upper += channel
        lower += channel
    tl.store(out + place, tl.where(known == float("inf"), 0.0, found), mask=inside)


@triton.jit(do_not_specialize=SIZES)
def adjoint(
    logits, target, normaliser, counted, pixel, truth, by_class, constant, left, right,
    row_begin, row_share, column_begin, column_share,
    classes, height, width, rows, columns, image, channel, row, column,
    BY_CLASS: tl.constexpr, CONSTANT: tl.constexpr, TILE: tl.constexpr, CELLS: tl.constexpr, STRIP: tl.constexpr,
):  # fmt: skip
    """Write the gradient by the coarse logits in two parts, (B, K, h, w): of the pixels right and left of a location.

    The gradient at a pixel is softmax * (pixel + by_class * counted) + constant * counted + truth at the label. A
    program walks down a strip of coarse rows and keeps what a group gives to the row below it.
    """
    j = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    first = tl.program_id(1) * STRIP
    blocks = tl.cdiv(classes, TILE)
    batch = (tl.program_id(2) // blocks).to(tl.int64)
    k = (tl.program_id(2) % blocks) * TILE + tl.arange(0, TILE)
    in_j, in_k = j < columns, k < classes
    tile = in_k[:, None] & in_j[None, :]
    begin = tl.load(column_begin + j, mask=in_j, other=0)
    end = tl.load(column_begin + j + 1, mask=in_j, other=0)
    widest = tl.max(end - begin, 0)
    corner = logits + batch * image + k[:, None].to(tl.int64) * channel + j[None, :].to(tl.int64) * column
    beside = tile & (j[None, :] + 1 < columns)
    if BY_CLASS:
        steady = tl.load(by_class + batch * classes + k, mask=in_k, other=0.0)[:, None]
    if CONSTANT:
        even = tl.load(constant + batch * classes + k, mask=in_k, other=0.0)[:, None]
    to_left = tl.zeros([TILE, CELLS], tl.float32)
    to_right = tl.zeros([TILE, CELLS], tl.float32)
    upper = corner + tl.maximum(first - 1, 0).to(tl.int64) * row
    for i in range(tl.maximum(first - 1, 0), tl.minimum(first + STRIP, rows)):
        under = i + 1 < rows
        upper_left = tl.load(upper, mask=tile, other=0.0).to(tl.float32)
        upper_right = tl.load(upper + column, mask=beside, other=0.0).to(tl.float32)
        lower_left = tl.load(upper + row, mask=tile & under, other=0.0).to(tl.float32)
        lower_right = tl.load(upper + row + column, mask=beside & under, other=0.0).to(tl.float32)
        below_left = tl.zeros([TILE, CELLS], tl.float32)
        below_right = tl.zeros([TILE, CELLS], tl.float32)
        for y in range(tl.load(row_begin + i), tl.load(row_begin + i + 1)):
            down = tl.load(row_share + y)
            start = upper_left * (1 - down) + tl.where(down > 0, lower_left, 0.0) * down
            stop = upper_right * (1 - down) + tl.where(down > 0, lower_right, 0.0) * down
            line = (batch * height + y) * width
            on_left = tl.zeros([TILE, CELLS], tl.float32)
            on_right = tl.zeros([TILE, CELLS], tl.float32)
            for step in range(widest):
                x = begin + step
                inside = x < end
                across = tl.load(column_share + x, mask=inside, other=0.0)[None, :]
                known = tl.load(normaliser + line + x, mask=inside, other=float("inf"))[None, :]
                label = tl.load(target + line + x, mask=inside, other=255).to(tl.int32)[None, :]
                factor = tl.load(pixel + line + x, mask=inside, other=0.0)[None, :]
                peak = tl.load(truth + line + x, mask=inside, other=0.0)[None, :]
                z = start * (1 - across) + tl.where(across > 0, stop, 0.0) * across
                if BY_CLASS or CONSTANT:
                    share = tl.load(counted + line + x, mask=inside, other=0.0)[None, :]
                if BY_CLASS:
                    factor += steady * share
                change = tl.exp(z - known) * factor
                if CONSTANT:
                    change += even * share
                change = tl.where(known != float("inf"), change, 0.0) + tl.where(label == k[:, None], peak, 0.0)
                on_left += change * (1 - across)
                on_right += change * across
            to_left += on_left * (1 - down)
            to_right += on_right * (1 - down)
            below_left += on_left * down
            below_right += on_right * down
        place = ((batch * classes + k[:, None]) * rows + i) * columns + j[None, :]
        tl.store(left + place, to_left, mask=tile & (i >= first))
        tl.store(right + place, to_right, mask=tile & (i >= first))
        to_left, to_right = below_left, below_right
        upper += row


@triton.jit(do_not_specialize=SIZES)
def join(
    left, right, gradient, classes, rows, columns, image, channel, row, column,
    TILE: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Write the sum of the two parts of `adjoint`, in the layout and precision of the logits."""
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)[None, :]
    k = tl.program_id(1) * TILE + tl.arange(0, TILE)[:, None]
    batch = tl.program_id(2).to(tl.int64)
    tile = (k < classes) & (cell < rows * columns)
    i, j = cell // columns, cell % columns
    place = (batch * classes + k) * rows * columns + cell
    found = tl.load(left + place, mask=tile, other=0.0) + tl.load(right + place - 1, mask=tile & (j > 0), other=0.0)
    out = gradient + batch * image + k.to(tl.int64) * channel + i.to(tl.int64) * row + j * column
    tl.store(out, found.to(gradient.dtype.element_ty), mask=tile)


@triton.jit(do_not_specialize=SIZES)
def slope(
    logits, target, normaliser, counted, pixel, truth, by_class, constant, gradient,
    classes, rows, columns, image, channel, row, column,
    BY_CLASS: tl.constexpr, CONSTANT: tl.constexpr, TILE: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Write the gradient of `adjoint` where logits have the size of the ground truth."""
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)[None, :]
    k = tl.program_id(1) * TILE + tl.arange(0, TILE)[:, None]
    batch = tl.program_id(2).to(tl.int64)
    in_k, inside = k < classes, cell < rows * columns
    place = batch * rows * columns + cell
    offset = batch * image + k.to(tl.int64) * channel + (cell // columns).to(tl.int64) * row + cell % columns * column
    known = tl.load(normaliser + place, mask=inside, other=float("inf"))
    label = tl.load(target + place, mask=inside, other=255).to(tl.int32)
    factor = tl.load(pixel + place, mask=inside, other=0.0)
    peak = tl.load(truth + place, mask=inside, other=0.0)
    z = tl.load(logits + offset, mask=in_k & inside, other=0.0).to(tl.float32)
    if BY_CLASS or CONSTANT:
        share = tl.load(counted + place, mask=inside, other=0.0)
    if BY_CLASS:
        factor += tl.load(by_class + batch * classes + k, mask=in_k, other=0.0) * share
    found = tl.exp(z - known) * factor
    if CONSTANT:
        found += tl.load(constant + batch * classes + k, mask=in_k, other=0.0) * share
    found = tl.where(known != float("inf"), found, 0.0) + tl.where(label == k, peak, 0.0)
    tl.store(gradient + offset, found.to(gradient.dtype.element_ty), mask=in_k & inside)
