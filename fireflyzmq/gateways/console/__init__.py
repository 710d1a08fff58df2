"""The console: a page that shows what an exchange is doing. `HttpDaemon.attach("/", Console())` puts it on the web."""

from fireflyzmq.gateways.console.gateway import Console

__all__ = ["Console"]
