"""From a configuration to parts: what a checkpoint stores of a node."""

from __future__ import annotations

from densepred.jobs import parts


def test_a_stored_node_downloads_nothing() -> None:
    node = {"encoder": {"name": "x", "pretrained": True}, "list": [{"pretrained": True}], "n": 1}
    assert parts.stored(node) == {
        "encoder": {"name": "x", "pretrained": False},
        "list": [{"pretrained": False}],
        "n": 1,
    }
    assert node["encoder"]["pretrained"] is True
