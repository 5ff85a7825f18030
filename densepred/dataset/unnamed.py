"""Classes without names, which are called after the ids of masks, and the file that names them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SHOWN = 2
"""Classes in the form of a message."""


def remedy(classes: Sequence[str], node: Mapping[str, Any]) -> str:
    """Return what to write to give names to the classes of a folder; "" if they have some.

    node: of the dataset
    """
    found = [re.fullmatch(r"class_(\d+)", name) for name in classes]
    if not found or not all(found) or not {"masks", "label_map"} <= node.keys():
        return ""
    ids = [int(one[1]) for one in found if one is not None]
    entries = [json.dumps({"id": number, "name": f"NAME_OF_{number}"}) for number in ids[:SHOWN]]
    more = ", ..." if len(ids) > SHOWN else ""
    return f"classes have no names; write {Path(str(node.get('root')), 'classes.json')}: [{', '.join(entries)}{more}]"
