"""OpenTelemetry as the tracer of calls: each request that belongs to a trace is served in a span of it.

Nothing is imported before the first such request. Without a provider that the program has set up, spans are recorded
nowhere.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fireflyzmq.request import Request


def installed() -> bool:
    """Whether OpenTelemetry's API is there."""
    return importlib.util.find_spec("opentelemetry") is not None


class OpenTelemetryTracer:
    """Serves requests in spans, and says which span is current."""

    def serve(self, request: Request, function: Callable[..., Any]) -> Callable[..., Any]:
        """Run a method in a span named `service.method`, a coroutine to its end; what it raises is recorded there."""
        import opentelemetry.propagate as propagate
        import opentelemetry.trace as trace

        tracer = trace.get_tracer("fireflyzmq")
        context = propagate.extract(request.properties)
        attributes = {
            "rpc.system": "fireflyzmq",
            "rpc.service": request.service.name,
            "rpc.method": request.method,
            "fireflyzmq.call": request.id,
        }
        name = f"{request.service.name}.{request.method}"

        def span() -> Any:
            return tracer.start_as_current_span(name, context, trace.SpanKind.SERVER, attributes)

        def run(*args: Any, **kwargs: Any) -> Any:
            with span():
                return function(*args, **kwargs)

        async def run_coroutine(*args: Any, **kwargs: Any) -> Any:
            with span():
                return await function(*args, **kwargs)

        return run_coroutine if inspect.iscoroutinefunction(function) else run

    def outgoing(self) -> dict[str, str]:
        """The current span as a `traceparent`."""
        import opentelemetry.propagate as propagate

        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier
