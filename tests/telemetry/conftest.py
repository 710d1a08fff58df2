"""What the tests of traces share: the spans that are recorded in this process."""

from __future__ import annotations

from collections.abc import Iterator

import opentelemetry.trace
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fireflyzmq.runtime import otel


@pytest.fixture
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if OpenTelemetry were not installed."""
    monkeypatch.setattr(otel, "installed", lambda: False)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """The spans that are recorded."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(opentelemetry.trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()
