"""Boxes: assignment to locations, distances to the sides, COCO's conventions."""
