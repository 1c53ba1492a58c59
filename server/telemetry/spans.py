"""Spans of OpenTelemetry: one for each request, and one for each stage in it.

The thread that counts requests makes them, after the answer has left. The variables ``OTEL_*`` of
the library, such as those of its sampler, have their usual meaning.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server.telemetry.answered import Answered

SERVER_FAULT = 500


def exported_to(url: str) -> SpanProcessor:
    """Sends spans to a collector, in batches, by a thread of its own."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=url))


class Spans:
    """Makes the spans of answered requests."""

    def __init__(self, processor: SpanProcessor) -> None:
        provider = TracerProvider(resource=Resource.create({"service.name": "plexsphere-state"}))
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("plexsphere-state")
        self._incoming = TraceContextTextMapPropagator()
        self.close = provider.shutdown

    def take(self, requests: Sequence[Answered]) -> None:
        """A request is in the trace of its `traceparent`, where it has one."""
        to_unix = time.time() - time.monotonic()

        def moment(seconds: float) -> int:
            return round((seconds + to_unix) * 1e9)

        for request in requests:
            carrier = {} if request.traceparent is None else {"traceparent": request.traceparent}
            span = self._tracer.start_span(
                request.operation,
                context=self._incoming.extract(carrier),
                kind=SpanKind.SERVER,
                start_time=moment(request.received),
                attributes={
                    "http.request.method": request.method,
                    "http.response.status_code": request.status,
                    "correlation_id": request.correlation_id,
                },
            )
            if request.status >= SERVER_FAULT:
                span.set_status(Status(StatusCode.ERROR))
            within = set_span_in_context(span)
            for stage, began, ended in request.stages:
                part = self._tracer.start_span(stage, context=within, start_time=moment(began))
                part.end(moment(ended))
            span.end(moment(request.answered))
