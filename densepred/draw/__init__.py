"""Drawings of annotations and of head outputs, as uint8 images (3, H, W)."""
