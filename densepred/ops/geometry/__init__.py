"""Warps, padding, tiles and colour matrices, for images and annotations."""
