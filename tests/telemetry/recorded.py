"""Recorded spans, as tests look at them."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


def titled(span: ReadableSpan) -> str:
    """Its kind and name."""
    return f"{span.kind.name} {span.name}"


def ids(span: ReadableSpan) -> tuple[str, str | None]:
    """A span's own id and its parent's."""
    context: Any = span.context
    return f"{context.span_id:016x}", f"{span.parent.span_id:016x}" if span.parent is not None else None


def trace_id(span: ReadableSpan) -> str:
    """The trace that a span belongs to."""
    context: Any = span.context
    return f"{context.trace_id:032x}"


def line(exporter: InMemorySpanExporter) -> list[ReadableSpan]:
    """The spans from the last one that nobody is the parent of here to its children's children, all of one trace."""
    recorded = exporter.get_finished_spans()
    known = {ids(span)[0] for span in recorded}
    (root,) = [span for span in recorded if ids(span)[1] not in known]
    found = [root]
    while len(found) < len(recorded):
        (child,) = [span for span in recorded if ids(span)[1] == ids(found[-1])[0]]
        assert trace_id(child) == trace_id(root)
        found.append(child)
    return found


def status(span: ReadableSpan) -> str:
    """UNSET or ERROR."""
    return span.status.status_code.name


def tree(exporter: InMemorySpanExporter) -> list[tuple[str, str | None]]:
    """Each span's title with its parent's, sorted."""
    titles = {ids(span)[0]: titled(span) for span in exporter.get_finished_spans()}
    return sorted((titled(span), titles.get(ids(span)[1] or "")) for span in exporter.get_finished_spans())
