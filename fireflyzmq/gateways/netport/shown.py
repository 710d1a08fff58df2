"""Session: one client of a netport as handlers and hooks have it, who may give it any attributes of their own.

What it says is the core's; it knows neither frames nor requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from fireflyzmq.conventions.behind import NotBegun, put_behind

if TYPE_CHECKING:
    from collections.abc import Collection

    from fireflyzmq.gateways.netport.codecs.codec import Command
    from fireflyzmq.wire.binding import Binding


class Behind(Protocol):
    """What stands behind a session: its core, which has for each of the session's names what that hands on."""

    id: str
    address: str
    user: str
    attributes: dict[str, Any]
    channels: dict[str, None]
    ordered: bool
    closed: bool
    reason: str

    @property
    def frames_received(self) -> int: ...
    @property
    def bytes_received(self) -> int: ...
    @property
    def frames_sent(self) -> int: ...
    @property
    def bytes_sent(self) -> int: ...

    def push(self, command: Command, body: Any, /) -> bool: ...
    def close(self, reason: str, /) -> bool: ...
    def bind(self, user: str, /) -> bool: ...
    def join(self, channel: str, /) -> bool: ...
    def leave(self, channel: str, /) -> bool: ...
    def attach(self, key: str, binding: Binding, /) -> bool: ...
    def describe(self) -> dict[str, Any]: ...


class Session:
    """One client. It is there from its coming to its going; a netport makes it.

    Its methods may be called in any thread; once it is `closed` they do nothing, and say False. `attributes`, and
    attributes of any other name that is set, are for whatever its handlers want to remember.
    """

    _fireflyzmq: Behind = NotBegun("Session")  # type: ignore[assignment]

    def __init__(self, core: Behind) -> None:
        put_behind(self, core)

    def __repr__(self) -> str:
        return repr(self._fireflyzmq)

    @property
    def id(self) -> str:
        """The id, unique among all netports ("net1/42")."""
        return self._fireflyzmq.id

    @property
    def address(self) -> str:
        """Where the client comes from ("127.0.0.1:4711")."""
        return self._fireflyzmq.address

    @property
    def user(self) -> str:
        """Who it was bound to, "" for nobody."""
        return self._fireflyzmq.user

    @property
    def attributes(self) -> dict[str, Any]:
        """What its handlers want to remember."""
        return self._fireflyzmq.attributes

    @property
    def channels(self) -> Collection[str]:
        """The channels that it is in."""
        return self._fireflyzmq.channels.keys()

    @property
    def ordered(self) -> bool:
        """Whether its requests are served one after the other; may be set."""
        return self._fireflyzmq.ordered

    @ordered.setter
    def ordered(self, ordered: bool) -> None:
        self._fireflyzmq.ordered = ordered

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._fireflyzmq.closed

    @property
    def reason(self) -> str:
        """Why it has ended, "" while it has not."""
        return self._fireflyzmq.reason

    @property
    def frames_received(self) -> int:
        """Frames that have come."""
        return self._fireflyzmq.frames_received

    @property
    def bytes_received(self) -> int:
        """Bytes that have come."""
        return self._fireflyzmq.bytes_received

    @property
    def frames_sent(self) -> int:
        """Frames that were written."""
        return self._fireflyzmq.frames_sent

    @property
    def bytes_sent(self) -> int:
        """Bytes that were written."""
        return self._fireflyzmq.bytes_sent

    def push(self, command: Command, body: Any) -> bool:
        """Send a frame that was not asked for; ValueError or TypeError for what does not go into one."""
        return self._fireflyzmq.push(command, body)

    def close(self, reason: str = "closed") -> bool:
        """End the session, once what it is to get has been written."""
        return self._fireflyzmq.close(reason)

    def bind(self, user: str) -> bool:
        """Say whose session this is; with one session per user, that user's other ones are closed ("replaced")."""
        return self._fireflyzmq.bind(user)

    def join(self, channel: str) -> bool:
        """Let it get what is pushed to a channel."""
        return self._fireflyzmq.join(channel)

    def leave(self, channel: str) -> bool:
        """Let it get no more of a channel; False when it was not in it."""
        return self._fireflyzmq.leave(channel)

    def attach(self, key: str, binding: Binding) -> bool:
        """Let frames that are forwarded to `attached=key` go to one service from now on."""
        return self._fireflyzmq.attach(key, binding)

    def describe(self) -> dict[str, Any]:
        """What others see of it; times in seconds."""
        return self._fireflyzmq.describe()
