"""Where the time of requests went: stages, their histograms, and what waits to be added up."""

from __future__ import annotations

from typing import NoReturn

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from db.timing import POOL_WAIT, POSTGRES, SPICEDB, SPICEDB_WAIT
from server.telemetry.answered import (
    AUTHENTICATION,
    HANDLER,
    OPERATION,
    QUEUE,
    VALIDATION,
    Answered,
    BulkHistogram,
)
from server.telemetry.metrics import Metrics


def answered(*stages: tuple[str, float, float]) -> Answered:
    path = "/v1/nodes/1/state"
    return Answered("GetNodeState", 200, 10.0, 12.0, list(stages), "GET", path, "c", None)


def test_what_is_left_of_the_operation_is_its_handlers() -> None:
    request = answered(
        (QUEUE, 10.0, 10.25),
        (POSTGRES, 10.25, 10.5),  # the key of the caller, before the operation
        (AUTHENTICATION, 10.25, 10.5),
        (SPICEDB_WAIT, 10.5, 10.5625),
        (SPICEDB, 10.5625, 10.75),
        (POOL_WAIT, 10.75, 11.0),
        (POSTGRES, 11.0, 11.125),
        (OPERATION, 10.5, 11.5),
        (VALIDATION, 11.5, 11.75),
    )
    assert request.seconds_by_stage() == {
        QUEUE: 0.25,
        AUTHENTICATION: 0.25,
        SPICEDB_WAIT: 0.0625,
        SPICEDB: 0.1875,
        POOL_WAIT: 0.25,
        POSTGRES: 0.375,
        VALIDATION: 0.25,
        HANDLER: 0.375,
    }


def test_a_request_that_reached_no_operation_has_no_handler() -> None:
    assert answered((QUEUE, 10.0, 10.5)).seconds_by_stage() == {QUEUE: 0.5}


@pytest.mark.parametrize("values", [[0.5], [0.1, 0.25, 0.2500001, 9.0, 0.0]], ids=len)
def test_many_values_in_one_step_count_as_each_alone(values: list[float]) -> None:
    texts = []
    for kind in (Histogram, BulkHistogram):
        registry = CollectorRegistry()
        histogram = kind("x", "Of x.", ("y",), buckets=(0.1, 0.25, 1), registry=registry)
        child = histogram.labels("z")
        if isinstance(child, BulkHistogram):
            child.observe_all(values)
        else:
            for value in values:
                child.observe(value)
        lines = generate_latest(registry).decode().splitlines()
        texts.append([line for line in lines if "_created" not in line])
    assert texts[0] == texts[1]


def test_a_scrape_adds_up_what_waits_and_shows_levels_as_they_are() -> None:
    metrics = Metrics()
    metrics.levels.append(lambda: [(metrics.threads_busy, ("requests",), 3)])
    metrics.answered.append(answered((QUEUE, 10.0, 10.25)))
    text = metrics.exposition().decode()
    for line in (
        'plexsphere_http_request_seconds_sum{operation="GetNodeState"} 2.0',
        'plexsphere_http_stage_seconds_sum{operation="GetNodeState",stage="queue"} 0.25',
        'plexsphere_http_stage_seconds_count{operation="GetNodeState",stage="queue"} 1.0',
        'plexsphere_threads_busy{lane="requests"} 3.0',
    ):
        assert line in text.splitlines()


def test_a_level_that_cannot_be_read_loses_no_request_and_no_other_level() -> None:
    metrics = Metrics()
    metrics.levels += [unreadable, lambda: [(metrics.threads_busy, ("requests",), 3)]]
    metrics.takers += [unreadable]
    metrics.answered.append(answered((QUEUE, 10.0, 10.25)))
    lines = metrics.exposition().decode().splitlines()
    assert 'plexsphere_http_requests_total{operation="GetNodeState",status="200"} 1.0' in lines
    assert 'plexsphere_threads_busy{lane="requests"} 3.0' in lines


def unreadable(*_: object) -> NoReturn:
    raise OSError
