"""The node that this process is, where apps ask for it."""

from __future__ import annotations

from fireflyzmq.cluster.node import Node

_nodes: list[Node] = []


def be(node: Node) -> None:
    """Let this process be a node from now on."""
    _nodes[:] = [node]


def node() -> Node:
    """The node that this process is. RuntimeError in one that is none."""
    if not _nodes:
        raise RuntimeError("this process is no node of a cluster; `fireflyzmq run` starts nodes")
    return _nodes[0]
