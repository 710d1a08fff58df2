"""Terms: what a peer and its exchange have agreed on, which all parts of the peer go by. They decide nothing."""

from __future__ import annotations

from typing import Any

from fireflyzmq.wire.commands import MAX_CALLS, MAX_MESSAGE, MAX_RETAINED


class Terms:
    """What WELCOME said, and whether there is a connection.

    `attached` says that there is to be a connection, `connected` that there is one now. At most `calls` calls may be
    in flight. In bytes: `message` is the most that a request, an answer or a report may have, `retained` the most that
    the exchange keeps of reports for this peer.
    """

    __slots__ = ("attached", "calls", "connected", "message", "retained")

    def __init__(self) -> None:
        self.attached = False
        self.connected = False
        self.calls = MAX_CALLS
        self.message = MAX_MESSAGE
        self.retained = MAX_RETAINED

    def take(self, welcome: dict[str, Any]) -> None:
        """Take over what WELCOME says; of what it does not say, what was said last stays."""
        self.message = welcome.get("message", self.message)
        self.calls = welcome.get("calls", self.calls)
        self.retained = welcome.get("retained", MAX_RETAINED)
        self.connected = True
