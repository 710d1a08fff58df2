"""Master: the service by which a running cluster is seen and steered, over an exchange of its own.

It knows the supervision and what users of the library say. Who may reach it, its place says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from fireflyzmq.api.exchange import EXCHANGE_SERVER, Exchange
from fireflyzmq.api.service import Service
from fireflyzmq.cluster.supervision import Instance
from fireflyzmq.cluster.supervisor import Supervisor
from fireflyzmq.errors import Failure

NAME: Final = "master"

UNKNOWN_NODE, STOPPING, NO_NUMBER = 1, 2, 3
"""Codes of failures."""

_MOST_INSTANCES: Final = 1000


class Master:
    """The service `master` of one cluster, in the running loop."""

    def __init__(self, supervisor: Supervisor, address: str) -> None:
        self._supervisor = supervisor
        self._supervision = supervisor.supervision
        self._exchange = Exchange(EXCHANGE_SERVER)
        self._exchange.listen(address)
        self._service = Service(NAME, exchange=self._exchange)
        for method in (self.status, self.stop, self.start, self.restart, self.scale):
            self._service.exportMethod(method)

    def status(self) -> list[dict[str, Any]]:
        """What each instance does: node, name, state, pid, memory (bytes), restarts, seconds in its state, reason."""
        now = time.monotonic()
        return [_told(instance, now) for instance in self._supervision.instances]

    def stop(self, node: str | None = None) -> None:
        """Stop a node, or all in good order; what is said is true when it is done."""
        if node is None:
            self._supervisor.do(self._supervision.stop_all)
        else:
            self._steer(self._supervision.stop, node)

    def start(self, node: str) -> None:
        """Start a node that was stopped or given up."""
        self._steer(self._supervision.start, node)

    def restart(self, node: str, rolling: bool = False) -> None:
        """Restart a node's instances, all at once or one after the other."""
        self._steer(self._supervision.restart, node, rolling)

    def scale(self, node: str, number: int) -> None:
        """Let a node have so many instances."""
        if not 0 <= number <= _MOST_INSTANCES:
            raise Failure(NO_NUMBER, f"a node has 0 to {_MOST_INSTANCES} instances, not {number}")
        self._steer(self._supervision.scale, node, number)

    def _steer(self, step: Callable[..., Any], node: str, *more: Any) -> None:
        try:
            self._supervisor.do(step, node, *more)
        except KeyError:
            names = ", ".join(dict.fromkeys(each.node for each in self._supervision.instances))
            raise Failure(UNKNOWN_NODE, f"there is no node {node!r}; there are {names}") from None
        except RuntimeError as error:
            raise Failure(STOPPING, str(error)) from None

    async def close(self) -> None:
        """Say goodbye to those who asked."""
        await self._exchange.drain()


def _told(instance: Instance, now: float) -> dict[str, Any]:
    return {
        "node": instance.node,
        "name": instance.name,
        "state": instance.state.value,
        "pid": instance.pid,
        "memory": instance.memory or None,
        "restarts": max(0, instance.starts - 1),
        "seconds": now - instance.since,
        "reason": instance.reason,
    }
