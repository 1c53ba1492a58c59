"""Counters and histograms, right with several workers.

prometheus-client adds the workers up through files in a directory that
``server/gunicorn/conf.py`` names; with one process they stay in memory. Labels are closed sets:
no id ever becomes a label.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from server.settings import metrics_directory

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One set of instruments; the names are an interface, so they are spelled here alone."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "plexsphere_http_requests",
            "Requests answered, by operation and status.",
            ("operation", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "plexsphere_http_request_seconds",
            "Time from the request's arrival in a thread to its answer.",
            ("operation",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.refused_tokens = Counter(
            "plexsphere_refused_tokens",
            "Requests without a Principal, by reason.",
            ("reason",),
            registry=self._registry,
        )
        self.dropped_peers = Counter(
            "plexsphere_dropped_peers",
            "Peer rows left out of a snapshot, by broken invariant.",
            ("outcome",),
            registry=self._registry,
        )
        self.audit_lost = Counter(
            "plexsphere_audit_rows_lost",
            "Audit rows that could not be kept, by reason.",
            ("reason",),
            registry=self._registry,
        )
        self.history_lost = Counter(
            "plexsphere_history_bodies_lost",
            "Served bodies that could not be kept for fleet history, by reason.",
            ("reason",),
            registry=self._registry,
        )
        self.breaches = Counter(
            "plexsphere_contract_breaches",
            "Answers withheld because the contract does not declare them.",
            ("operation",),
            registry=self._registry,
        )
        self.large_bodies = Counter(
            "plexsphere_large_snapshots",
            "Snapshots near the 10 MiB at which agents cut a body off.",
            registry=self._registry,
        )

    def exposition(self) -> bytes:
        """All of them, in Prometheus' text format."""
        registry = self._registry
        directory = metrics_directory()
        if directory is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=directory)
        return generate_latest(registry)
