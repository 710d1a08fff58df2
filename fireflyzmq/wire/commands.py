"""The numbers of wire version 1: commands between a peer and the exchange, items between two services.

Plain integers, not an enum: they are compared for every message. docs/protocol.md says who sends each
and what answers it.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
"""The wire version this library speaks."""

# Commands: the first byte of a message's first frame.
# From a peer to the exchange:
HELLO: Final = 1
GOODBYE: Final = 2
REGISTER: Final = 3
WITHDRAW: Final = 4
CLOSE: Final = 5
JOIN: Final = 6
LEAVE: Final = 7
WATCH: Final = 8
UNWATCH: Final = 9
ANNOUNCE: Final = 11
EXPEL: Final = 12
SUBSCRIBE: Final = 13
UNSUBSCRIBE: Final = 14
EXPIRE: Final = 15
PUBLISH: Final = 17
AWAIT: Final = 18
# In both directions:
CREDIT: Final = 10
ENVELOPE: Final = 16
# From the exchange to a peer:
WELCOME: Final = 32
REFUSED: Final = 33
REGISTERED: Final = 34
REJECTED: Final = 35
STATE: Final = 36
PRESENT: Final = 37
ABSENT: Final = 38
INTRODUCED: Final = 39
GONE: Final = 40
RETURNED: Final = 41
JOINED: Final = 42
EXPELLED: Final = 43
SUBSCRIBER: Final = 44
ENDED: Final = 45
REPORTS: Final = 46
ROOM: Final = 47

COMMAND_NAMES: Final = {
    HELLO: "HELLO",
    GOODBYE: "GOODBYE",
    REGISTER: "REGISTER",
    WITHDRAW: "WITHDRAW",
    CLOSE: "CLOSE",
    JOIN: "JOIN",
    LEAVE: "LEAVE",
    WATCH: "WATCH",
    UNWATCH: "UNWATCH",
    ANNOUNCE: "ANNOUNCE",
    EXPEL: "EXPEL",
    SUBSCRIBE: "SUBSCRIBE",
    UNSUBSCRIBE: "UNSUBSCRIBE",
    EXPIRE: "EXPIRE",
    PUBLISH: "PUBLISH",
    AWAIT: "AWAIT",
    CREDIT: "CREDIT",
    ENVELOPE: "ENVELOPE",
    WELCOME: "WELCOME",
    REFUSED: "REFUSED",
    REGISTERED: "REGISTERED",
    REJECTED: "REJECTED",
    STATE: "STATE",
    PRESENT: "PRESENT",
    ABSENT: "ABSENT",
    INTRODUCED: "INTRODUCED",
    GONE: "GONE",
    RETURNED: "RETURNED",
    JOINED: "JOINED",
    EXPELLED: "EXPELLED",
    SUBSCRIBER: "SUBSCRIBER",
    ENDED: "ENDED",
    REPORTS: "REPORTS",
    ROOM: "ROOM",
}

# Items: the first element of each array in an envelope's body.
REQUEST: Final = 1
RESPONSE: Final = 2
FAILURE: Final = 3
CANCEL: Final = 4
NOT_ACCEPTED: Final = 5
LOAD: Final = 6
PART: Final = 7

# Why a request is not taken (NOT_ACCEPTED); any other text is as OVERLOADED, and that is all that older peers say.
DRAINING: Final = "draining"
OVERLOADED: Final = "overloaded"
METHOD_FULL: Final = "method"
SERVICE_FULL: Final = "service"

# What a subscription does with reports for which its queue has no room.
DROP_OLDEST: Final = "drop-oldest"
DROP_NEWEST: Final = "drop-newest"
LATEST: Final = "latest"
DISCONNECT: Final = "disconnect"
POLICIES: Final = (DROP_OLDEST, DROP_NEWEST, LATEST, DISCONNECT)

# What a WATCH asks for.
BY_NAME: Final = 1
BY_GROUP: Final = 2
BY_ADDRESS: Final = 3
BY_REGISTRY: Final = 4
BY_MEMBER: Final = 5
"""The members of a group that have a role: "group role", or "group role name" for those of one name."""

# Why an envelope comes back (RETURNED).
NO_TARGET: Final = 1
TARGET_GONE: Final = 2
QUEUE_FULL: Final = 3
NO_SENDER: Final = 4

# ZeroMQ's heartbeats. The exchange's each say how long the peer is to wait for the next. A peer's own are slower, to
# spare an exchange with thousands: they notice one that freezes before its first. ZeroMQ's I/O thread answers, so a
# process that is only busy lives; a frozen side, or a dead line, is noticed within two seconds or so.
HEARTBEAT_SECONDS: Final = 0.5
PEER_HEARTBEAT_SECONDS: Final = 1.25
HEARTBEATS_MISSED: Final = 3
"""How many heartbeats a side waits for before the other one counts as gone."""

# Limits. Bytes unless the name says otherwise.
MAX_FRAME: Final = 256 * 1024
MAX_MESSAGE: Final = 64 * 1024 * 1024
MAX_NAME: Final = 200
MAX_GROUPS: Final = 100
"""How many groups a service may be in."""
MAX_ARGUMENTS: Final = 1000
"""How many arguments a call may have, keywords included."""
MAX_DEPTH: Final = 511
"""How many arrays and maps may stand in each other in an item, and again in the payload of each extension."""
MAX_EXTENSIONS: Final = 16
"""How many extensions may stand in each other."""
MAX_EQUAL_HASHES: Final = 16
"""How many keys of one map, or elements of one set, may have the same hash in this library, texts and bytes apart."""
MAX_CALLS: Final = 1_000_000
"""How many calls a peer may have in flight."""
GRACE: Final = 3.0
"""Seconds after a new connection, and after the exchange's start, in which what was there before may come back."""
MAX_TIMEOUT: Final = 1e7
"""Seconds from now that a deadline may be away."""
MAX_CONTROL: Final = 64 * 1024
MAX_SUBJECT: Final = 1024
MAX_ANSWERS: Final = 512 * 1024 * 1024
"""What a peer keeps of answers that its callers have no room for."""
MAX_POSTPONED: Final = 64 * 1024 * 1024
"""What a peer keeps of requests that it does not begin while their callers have no room for answers."""
MAX_NUMBER: Final = (1 << 53) - 1
"""The largest number of a call: what a language whose only numbers are floats counts exactly."""
MAX_RETAINED: Final = 64 * 1024 * 1024
"""What all reports that the exchange keeps for one peer may have."""
MAX_WAITING_REPORTS: Final = 32 * 1024 * 1024
"""What may wait in the exchange for all subscriptions of one peer."""
SUBSCRIPTION_QUEUE: Final = 8 * 1024 * 1024
"""What may wait in the exchange for one subscription, unless it says less."""
WINDOW: Final = 4 * 1024 * 1024
ENVELOPE_COST: Final = 128
"""What an envelope costs in credit beside its body: the memory of its frames and queue entries."""
