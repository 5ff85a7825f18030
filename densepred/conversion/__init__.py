"""Conversion of a dataset to folders of images and masks, or to COCO's JSON, with a report of what is left out."""
