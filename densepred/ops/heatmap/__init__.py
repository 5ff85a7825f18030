"""Gaussian heatmaps and the peaks in them."""
