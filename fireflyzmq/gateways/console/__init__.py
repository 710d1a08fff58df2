"""The console: a page that shows what an exchange is doing. `HttpDaemon.attach("/", Console())` puts it on the web.

It knows what the exchange and services tell of themselves, as any caller does, and the web gateway that it stands on.
"""

from fireflyzmq.gateways.console.gateway import Console

__all__ = ["Console"]
