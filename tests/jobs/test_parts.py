"""From the nodes of a configuration to parts, and the nodes that a checkpoint stores."""

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
