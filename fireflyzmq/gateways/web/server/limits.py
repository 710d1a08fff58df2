"""WebLimits: what an HTTP daemon takes of its clients. Pure."""

from __future__ import annotations

import collections
import dataclasses

from fireflyzmq.conventions.limits import BYTES, COUNT, RATE, SECONDS, check_limits, limit
from fireflyzmq.wire.commands import MAX_TIMEOUT


@dataclasses.dataclass(frozen=True)
class WebLimits:
    """Limits of an HTTP daemon. ValueError for what makes no sense.

    | limit | what becomes of a request beyond it |
    |---|---|
    | `connections` | a further one is closed |
    | `requests` at work at once | 503 with Retry-After |
    | `requests_per_second` of one address (IPv6: one /64), twice as many at once | 429 with Retry-After; 0: none |
    | `body_bytes`, of the body | 413 |
    | `header_bytes`, of a header or the first line | 400 |
    | `body_seconds` for the body to come | 408 |
    | `idle_seconds` without a request on a connection | it is closed |
    | `call_seconds` that a call may take when its request does not say, `most_call_seconds` when it does | 504 |
    | `stream_bytes` of reports that wait for a client that reads slowly | the oldest are dropped and counted |

    Of IPv6 a network of 64 bits counts as one address.
    """

    connections: int = limit(10_000, COUNT, "connections at once; a further one is closed")
    requests: int = limit(1_000, COUNT, "requests at work at once, streams among them; a further one is 503")
    requests_per_second: float = limit(
        0.0, RATE, "requests of one address, twice as many at once; a further one is 429; 0: no limit"
    )
    body_bytes: int = limit(1024 * 1024, BYTES, "size of a request's body; a larger one is 413")
    header_bytes: int = limit(8190, BYTES, "size of a header, and of a request's first line; a larger one is 400")
    body_seconds: float = limit(30.0, SECONDS, "time for a body to come; a slower one is 408", MAX_TIMEOUT)
    idle_seconds: float = limit(60.0, SECONDS, "time without a request until a connection is closed", MAX_TIMEOUT)
    call_seconds: float = limit(30.0, SECONDS, "time of a call whose request does not say one", MAX_TIMEOUT)
    most_call_seconds: float = limit(300.0, SECONDS, "time of a call, whatever its request says", MAX_TIMEOUT)
    stream_bytes: int = limit(
        1024 * 1024,
        BYTES,
        "reports that may wait for one client that reads slowly; older ones are dropped and counted",
    )

    def __post_init__(self) -> None:
        check_limits(self)
        if self.call_seconds > self.most_call_seconds:
            raise ValueError("call_seconds is at most most_call_seconds")


class Rates:
    """How many requests each address may make: a token bucket for each, forgotten when it is full again."""

    def __init__(self, per_second: float) -> None:
        self._per_second = per_second
        self._burst = 2 * max(per_second, 1.0)
        self._buckets: collections.OrderedDict[str, tuple[float, float]] = collections.OrderedDict()

    def wait(self, address: str, now: float) -> float:
        """Count a request; 0.0 when it may go on, otherwise the seconds after which one may come again."""
        if not self._per_second:
            return 0.0
        tokens, since = self._buckets.pop(address, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) * self._per_second)
        allowed = tokens >= 1
        self._buckets[address] = tokens - allowed, now
        self._forget(now)
        return 0.0 if allowed else (1 - tokens) / self._per_second

    def _forget(self, now: float) -> None:
        while self._buckets:
            address, (tokens, since) = next(iter(self._buckets.items()))
            if tokens + (now - since) * self._per_second < self._burst:
                return
            del self._buckets[address]
