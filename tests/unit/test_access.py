"""Lines of the access log and spans, made of the same answered request."""

from __future__ import annotations

import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from composer.identity import Principal
from server.telemetry.access import write_access_lines
from server.telemetry.answered import OPERATION, QUEUE, Answered
from server.telemetry.spans import Spans

TRACE = "0af7651916cd43dd8448eb211c80319c"
REQUEST = Answered(
    operation="GetNodeState",
    status=503,
    received=10.0,
    answered=10.5,
    stages=[(QUEUE, 10.0, 10.125), ("spicedb", 10.125, 10.25), (OPERATION, 10.125, 10.5)],
    method="GET",
    path="/v1/nodes/1/state",
    correlation_id="c-1",
    principal=Principal.of_subject("user:ann"),
    traceparent=f"00-{TRACE}-b7ad6b7169203331-01",
)


def test_a_line_says_who_asked_for_what_and_where_the_time_went() -> None:
    with structlog.testing.capture_logs() as lines:
        write_access_lines([REQUEST])
    (line,) = lines
    assert line.pop("received").endswith("+00:00")
    assert line == {
        "event": "request",
        "log_level": "info",
        "operation": "GetNodeState",
        "status": 503,
        "method": "GET",
        "path": "/v1/nodes/1/state",
        "subject": "user:ann",
        "correlation_id": "c-1",
        "ms": 500.0,
        "stages": {"queue": 125.0, "spicedb": 125.0, "handler": 250.0},
    }


def test_a_request_is_a_span_of_its_callers_trace_with_a_span_for_each_stage() -> None:
    exporter = InMemorySpanExporter()
    Spans(SimpleSpanProcessor(exporter)).take([REQUEST])
    *stages, request = exporter.get_finished_spans()
    assert [span.name for span in stages] == ["queue", "spicedb", "operation"]
    assert request.attributes is not None
    assert request.attributes["correlation_id"] == "c-1"
    assert (request.name, request.status.is_ok) == ("GetNodeState", False)
    assert f"{request.context.trace_id:032x}" == TRACE
    assert {span.parent.span_id for span in stages if span.parent} == {request.context.span_id}
    lasted = [(span.end_time or 0) - (span.start_time or 0) for span in (request, *stages)]
    assert [round(nanoseconds / 1e6) for nanoseconds in lasted] == [500, 125, 125, 375]


def test_without_a_traceparent_a_request_begins_a_trace() -> None:
    exporter = InMemorySpanExporter()
    Spans(SimpleSpanProcessor(exporter)).take([REQUEST._replace(traceparent=None)])
    assert exporter.get_finished_spans()[-1].parent is None
