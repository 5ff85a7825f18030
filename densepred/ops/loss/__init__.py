"""Losses as sums over pixels: statistics, closed-form gradients, bands."""
