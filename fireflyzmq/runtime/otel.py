"""OpenTelemetry as the tracer of calls: where the program has set up a provider, each call is a span at its caller,
and one at its service.

Nothing of it is imported before the program does so, and nothing is recorded before it has set up a provider.
Source: OpenTelemetry's semantic conventions for RPC 1.45, https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from fireflyzmq._version import VERSION
from fireflyzmq.conventions.safe_log import log
from fireflyzmq.wire.traceparent import TRACEPARENT, bounded

if TYPE_CHECKING:
    from fireflyzmq.peer.records import Request

logger = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.001
"""How often to look for a provider while there is none: the API's own way to ask costs a twentieth of a call."""

_PROVIDER: Final = "OTEL_PYTHON_TRACER_PROVIDER"
"""The environment variable by which OpenTelemetry itself sets up a provider, when it is first asked."""

_LONGEST: Final = 500
"""Characters of a description or a name that somebody else chose."""

_OTHER: Final = "_OTHER"
"""What the conventions call a method that the service does not know by its name."""

_NO_ERROR_OF_THE_SERVER: Final = "RequestCancelled"
_RAISED: Final = ("ApplicationFailure", "Failure")
"""Kinds that stand for whatever a method raises."""


def installed() -> bool:
    """Whether OpenTelemetry's API is there."""
    return importlib.util.find_spec("opentelemetry") is not None


class OpenTelemetryTracer:
    """Makes the spans of one connection's calls and requests, when `traces` says so.

    `server` says which exchange they go through, as attributes; before `idle_until` there is nothing to be asked.
    """

    def __init__(self) -> None:
        self.server: Mapping[str, str | int] = {}
        self._tracer: Any = None
        self.idle_until = -math.inf
        self._imports = _PROVIDER in os.environ

    def traces(self, now: float) -> bool:
        """Whether spans are to be made: from when the program has set up a provider. `now` is the loop's time."""
        if self._tracer is None and now >= self.idle_until:
            self.idle_until = now + _LOOK_SECONDS
            try:
                if self._imports or "opentelemetry.trace" in sys.modules:
                    self._tracer = _tracer()
            except Exception:  # of what the environment names as the provider, or of an API of another age
                log(logger, logging.WARNING, "OpenTelemetry cannot be used", exc_info=True)
                self.idle_until = math.inf
            if self._tracer is not None:
                self.idle_until = -math.inf
        return self._tracer is not None

    def call(
        self, service: str, method: str, request: Request | None, properties: Mapping[str, Any]
    ) -> tuple[OpenTelemetrySpan, dict[str, str]]:
        """The span of a call, and what carries it to the service.

        It is a child of the current span; without one, of the request that the call is made for, or of the span that
        its properties name.
        """
        import opentelemetry.context
        import opentelemetry.propagate as propagate
        import opentelemetry.trace as trace

        context = opentelemetry.context.get_current()
        if not trace.get_current_span(context).get_span_context().is_valid:
            if request is not None and isinstance(request.span, OpenTelemetrySpan):
                context = request.span.context
            elif TRACEPARENT in properties:
                context = _context_of(properties)
            elif request is not None and request.beside:
                context = _context_of(request.beside)
        attributes = {**self._attributes(service, method), **self.server}
        span = self._start(attributes, context, trace.SpanKind.CLIENT)
        carrier: dict[str, str] = {}
        propagate.inject(carrier, span.context)
        return span, bounded(carrier)

    def serve(self, request: Request) -> OpenTelemetrySpan:
        """The span of a request: a child of its call's, or the first of a trace, to which the request then belongs."""
        import opentelemetry.propagate as propagate
        import opentelemetry.trace as trace

        service, method = request.service, request.method
        attributes = {**self._attributes(service.name, method), "fireflyzmq.call": request.id, **self.server}
        if service.methods.offered(method, request.sender.name) is None:
            attributes["rpc.method_original"] = attributes["rpc.method"][:_LONGEST]
            attributes["rpc.method"] = _OTHER
        span = self._start(attributes, _context_of(request.properties), trace.SpanKind.SERVER)
        if TRACEPARENT not in request.properties:
            propagate.inject(request.properties, span.context)
        return span

    def _attributes(self, service: str, method: str) -> dict[str, Any]:
        whole = ".".join(filter(None, (service, method)))
        return {"rpc.system.name": "fireflyzmq", "rpc.service": service, "rpc.method": whole}

    def _start(self, attributes: dict[str, Any], context: Any, kind: Any) -> OpenTelemetrySpan:
        import opentelemetry.trace as trace

        known = attributes["rpc.method"] != _OTHER
        name = attributes["rpc.method"] if known else f"{attributes['rpc.service'] or 'fireflyzmq'}.{_OTHER}"
        span = self._tracer.start_span(name, context, kind, attributes)
        return OpenTelemetrySpan(span, trace.set_span_in_context(span, context), kind is trace.SpanKind.SERVER)

    @contextlib.contextmanager
    def receive(
        self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]
    ) -> Iterator[Callable[[int], None]]:
        """Do something for a request from outside in a span of the trace that it belongs to, or begins.

        Gives what is to be told the response's status: 500 and more is the server's error, all else is none of its.
        """
        import opentelemetry.trace as trace

        span = self._tracer.start_span(name, _context_of(carrier), trace.SpanKind.SERVER, dict(attributes))

        def answered(status: int) -> None:
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(trace.StatusCode.ERROR)

        with trace.use_span(span, end_on_exit=True):
            yield answered


class OpenTelemetrySpan:
    """The span of one call, at its caller or at its service; `context` is OpenTelemetry's, in which it is current."""

    __slots__ = ("_raised", "_serves", "_span", "context")

    def __init__(self, span: Any, context: Any, serves: bool) -> None:
        self.context = context
        self._span = span
        self._serves = serves
        self._raised = ""

    def enter(self) -> None:
        """Make the span current for what runs in this context (`contextvars`), to its end."""
        import opentelemetry.context

        opentelemetry.context.attach(self.context)

    def run(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function to run in another one's place: it runs that with the span as the current one."""
        import opentelemetry.context

        def run(*args: Any, **kwargs: Any) -> Any:
            token = opentelemetry.context.attach(self.context)
            try:
                return function(*args, **kwargs)
            finally:
                opentelemetry.context.detach(token)

        return run

    def note(self, error: BaseException) -> None:
        """Record what a method has raised."""
        if isinstance(error, Exception) and self._span.is_recording():
            self._raised = type(error).__qualname__
            self._span.record_exception(error)

    def end(self, kind: str, code: int, description: str) -> None:
        """End the span, with the failure that the call ended with, or ("") without one.

        That somebody gave up is an error of who calls, and none of who serves.
        """
        import opentelemetry.trace as trace

        span = self._span
        if kind and span.is_recording():
            span.set_attribute("rpc.response.status_code", str(code))
            if not self._serves or kind != _NO_ERROR_OF_THE_SERVER:
                raised = self._raised if kind in _RAISED else ""
                span.set_attribute("error.type", (raised or kind)[:_LONGEST])
                span.set_status(trace.Status(trace.StatusCode.ERROR, description[:_LONGEST]))
        span.end()


def server_attributes(address: str) -> dict[str, str | int]:
    """The attributes that say which exchange it is, of its address: `tcp://host:port`, or `ipc://path`."""
    way, _, place = address.partition("://")
    host, colon, port = place.rpartition(":")
    if way == "tcp" and colon and port.isascii() and port.isdigit():
        return {"server.address": host.strip("[]"), "server.port": int(port)}
    return {"server.address": place or address}


def _tracer() -> Any:
    """What makes spans, whatever becomes of them; None while no provider is set up."""
    import opentelemetry.trace as trace

    provider = trace.get_tracer_provider()
    if isinstance(provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)):
        return None
    return provider.get_tracer("fireflyzmq", VERSION)


def _context_of(carrier: Mapping[str, Any]) -> Any:
    """The context that properties or headers carry; propagators expect texts, and peers send what they like."""
    import opentelemetry.propagate as propagate
    from opentelemetry.context import Context

    return propagate.extract(bounded(carrier), Context())
