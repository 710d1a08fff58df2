"""OpenTelemetry as the tracer of calls: each request that belongs to a trace is served in a span of it.

Nothing is imported before the first such request. Without a provider that the program has set up, spans are recorded
nowhere.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireflyzmq.request import Request


def installed() -> bool:
    """Whether OpenTelemetry's API is there."""
    return importlib.util.find_spec("opentelemetry") is not None


class OpenTelemetryTracer:
    """Serves requests in spans, and says which span is current."""

    def serve(self, request: Request, function: Callable[..., Any]) -> Callable[..., Any]:
        """Run a method in a span named `service.method`, to the end of what it returns to be awaited.

        What it raises is recorded there.
        """
        import opentelemetry.trace as trace

        def run(*args: Any, **kwargs: Any) -> Any:
            name = f"{request.service.name}.{request.method}"
            attributes = {
                "rpc.system": "fireflyzmq",
                "rpc.service": request.service.name,
                "rpc.method": request.method,
                "fireflyzmq.call": request.id,
            }
            tracer = trace.get_tracer("fireflyzmq")
            span = tracer.start_span(name, _context_of(request.properties), trace.SpanKind.SERVER, attributes)
            value: Any = None
            try:
                with trace.use_span(span):
                    value = function(*args, **kwargs)
            finally:
                if not inspect.isawaitable(value):
                    span.end()
            return _awaited(value, span) if inspect.isawaitable(value) else value

        return run

    @contextlib.contextmanager
    def receive(
        self, name: str, carrier: Mapping[str, str], attributes: Mapping[str, str]
    ) -> Iterator[Callable[[int], None]]:
        """Do something for a request from outside in a span of the trace that it belongs to, or begins.

        Gives what is to be told the response's status: 500 and more is the server's error, all else is none of its.
        """
        import opentelemetry.trace as trace

        tracer = trace.get_tracer("fireflyzmq")
        context, kind = _context_of(carrier), trace.SpanKind.SERVER
        span = tracer.start_span(name, context, kind, dict(attributes))

        def answered(status: int) -> None:
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                span.set_status(trace.StatusCode.ERROR)

        with trace.use_span(span, end_on_exit=True):
            yield answered

    def outgoing(self) -> dict[str, str]:
        """The current span as a `traceparent`; {} for one that nobody began here."""
        import opentelemetry.propagate as propagate
        import opentelemetry.trace as trace

        if trace.get_current_span().get_span_context().is_remote:  # what stands for a span where no provider is set up
            return {}
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier


async def _awaited(value: Awaitable[Any], span: Any) -> Any:
    """Await what a method returned, in its span."""
    import opentelemetry.trace as trace

    with trace.use_span(span, end_on_exit=True):
        return await value


def _context_of(carrier: Mapping[str, Any]) -> Any:
    """The context that properties or headers carry; propagators expect texts, and peers send what they like."""
    import opentelemetry.propagate as propagate

    return propagate.extract({name: value for name, value in carrier.items() if isinstance(value, str)})
