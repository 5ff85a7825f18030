"""Losses: a scalar mean over what counts.

To add one: a file here with a subclass of `contracts.SummedLoss` (sums over pixels, then a formula) or `Loss`;
and `configs/loss/<name>.yaml` with its `_target_` and every argument with its default.
"""
