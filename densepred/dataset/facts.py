"""Facts that notices of datasets count, in the singular for one."""

from __future__ import annotations

import re

ONE = {
    "read as images": "read as an image",
    "read as regions": "read as a region",
    "read as crowds: neither hits nor misses": "read as a crowd: neither hit nor miss",
    "they mark no area": "it marks no area",
    "they have no area": "it has no area",
    "their annotation files give": "its annotation file gives",
    "images are missing, and left out": "image is missing, and left out",
    "have no XML file, and are": "has no XML file, and is",
    "that differ from their masks: read again around the masks": "that differs from its mask: read again around it",
    "that differ from the pixels of their masks": "that differs from the pixels of its mask",
    "in their XML file": "in its XML file",
    "read as masks that they fill": "read as a mask that it fills",
    "that begin before": "that begins before",
    "keypoints beyond their image": "keypoint beyond its image",
    "that reach beyond their image": "that reaches beyond its image",
}
"""Words of a fact about several things, and those about one thing."""
NOUNS = (
    "image|region|shape|annotation|result|feature|figure|object|video|frame|instance|polygon|mask|outline|case|colour|file|"
    "area|group|keypoint|label|name|fold|line|other|page|pair|rectangle|sigma|value"
)
MANY = re.compile(rf"^((?:[.\w]+ )?)(?:({NOUNS})s|(box|class)es)\b")
"""The noun that is counted, the first or the second word."""


def counted(count: int, what: str) -> str:
    """Return a count with what it counts, such as "2 images without a mask", in the singular for 1."""
    if count == 1:
        for several, one in ONE.items():
            what = what.replace(several, one)
        what = MANY.sub(lambda found: found[1] + (found[2] or found[3]), what)
    return f"{count} {what}"
