"""HttpDaemon: HTTP for the services of an exchange. Gateways are attached to paths and translate.

This is what users say; `HttpDaemonCore` does it, with what the daemon was told of who may come.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Collection

from fireflyzmq.api.exchange import Belonging
from fireflyzmq.conventions.behind import NotBegun, put_behind
from fireflyzmq.conventions.callbacks import check_callback
from fireflyzmq.gateways.web.server.admission import Admission
from fireflyzmq.gateways.web.server.authentication import Authenticator, Authorise
from fireflyzmq.gateways.web.server.core import HttpDaemonCore
from fireflyzmq.gateways.web.server.credentials import Users
from fireflyzmq.gateways.web.server.limits import Rates, WebLimits
from fireflyzmq.gateways.web.server.paths import Attached
from fireflyzmq.gateways.web.server.sites import Sites
from fireflyzmq.gateways.web.services.gateway import Gateway
from fireflyzmq.wire.addresses import host_to_listen


class HttpDaemon:
    """An HTTP server for gateways: `attach` them to paths, then `start`. It binds at once; port 0 picks a free one.

    `authorise` says who may come: a `Users`, or a function of Credentials that gives the user or None, and may be an
    `async def`; without one everybody may. With `ssl` it is HTTPS. `hosts` are the names under which it may be asked
    for: on a loopback address those of the loopback unless it says else, so that no web page can reach it by a name of
    its own (DNS rebinding). On other addresses any name will do unless it says: without `authorise` either, that is
    warned of. `origins` are the web sites whose pages may use it (CORS), none unless it says so: what
    other pages ask is refused. With `accessLog` each request is logged when it has ended, to
    `fireflyzmq.webgate.access`. OSError when the port is taken; ValueError for what is no host or port. The host "::"
    takes IPv4 as well.
    """

    _fireflyzmq: HttpDaemonCore = NotBegun("HttpDaemon")  # type: ignore[assignment]

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        ssl: ssl.SSLContext | None = None,
        authorise: Users | Authorise | None = None,
        hosts: Collection[str] | None = None,
        origins: Collection[str] = (),
        limits: WebLimits | None = None,
        accessLog: bool = False,
        exchange: Belonging | None = None,
    ) -> None:
        if authorise is not None:
            check_callback(authorise, "what authorises", ("credentials",))
        self.limits = WebLimits() if limits is None else limits
        host = host_to_listen(host, port)
        admission = Admission(
            Sites(host, hosts, origins),
            Rates(self.limits.requests_per_second),
            None if authorise is None else Authenticator(authorise),
        )
        core = HttpDaemonCore(port, host, admission, self.limits, ssl=ssl, access_log=accessLog, exchange=exchange)
        put_behind(self, core)

    def port(self) -> int:
        """The port that it listens at."""
        return self._fireflyzmq.port

    def attach(self, path: str, gateway: Gateway | Attached | None, *, public: bool = False) -> None:
        """Let a gateway answer what is asked for under a path, or (None) nobody. The longest path counts.

        What is `public` everybody may ask for without credentials, and however many requests are at work. ValueError
        for what is no path, and for a gateway that is attached already; RuntimeError when the daemon has been stopped.
        """
        self._fireflyzmq.attach(path, gateway, public)

    def start(self) -> None:
        """Serve from now on, or as soon as the loop runs; again changes nothing. Any thread may call it.

        RuntimeError when it has been stopped.
        """
        self._fireflyzmq.start()

    def stop(self) -> Awaitable[None]:
        """Take no more requests, finish those at work, close. Any thread may call it; it goes on when nobody waits.

        Requests at work, and clients that still read, have 10 seconds together; then they are cut. Returns what may be
        awaited, in any loop.
        """
        return self._fireflyzmq.stop()

    def __repr__(self) -> str:
        return repr(self._fireflyzmq)
