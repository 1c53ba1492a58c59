"""503 `overloaded` is counted, by the worker in the service's own metrics."""

from __future__ import annotations

from typing import Any

from server.gunicorn.lanes import Lane
from server.gunicorn.worker import Worker
from server.settings import Settings
from server.wiring import wire


class Refused:
    """As much of a connection as an answer needs."""

    may_go_on = False

    def flush(self) -> None:
        """Nothing is kept."""


def test_the_worker_tells_the_service_of_each_refusal_with_its_lane() -> None:
    operations: list[str] = []
    worker: Any = object.__new__(Worker)
    worker.cfg = None
    worker.count_overloaded = operations.append
    worker._answer_overloaded = lambda connection, cfg: True
    lane = Lane("heartbeats", 1, lambda lane, connection: None)
    refused: Any = Refused()
    worker._refuse_overloaded(refused, lane)
    worker._refuse_overloaded(refused, lane)
    assert (operations, lane.refused, refused.may_go_on) == (["heartbeats"] * 2, 2, True)


def test_the_service_counts_them_in_its_metrics() -> None:
    service = wire(Settings())
    service.count_overloaded("requests")
    exposition = service.app.test_client().get("/metrics").get_data(as_text=True)
    assert 'plexsphere_overloaded_requests_total{lane="requests"} 1.0' in exposition
