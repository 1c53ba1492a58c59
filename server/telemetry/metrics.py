"""/metrics: the counters of the workers, and gauges of the ledger that are read at each scrape.

prometheus-client adds the workers up through files in the directory that
``server/gunicorn/conf.py`` names; with one process they stay in memory. Labels are closed sets:
an id never becomes a label. The relay and the evaluator have no port of their own, but the ledger
contains the work that they have not done, so every instance of the service shows the same gauges.
"""

from __future__ import annotations

import math
import os
from collections import Counter as TallyOf
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client import values as value_classes
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from composer.deadline import Deadline
from composer.errors import ComposerError
from db.health import Lag
from server.settings import metrics_directory
from server.telemetry.answered import Answered, AnsweredRequests, BulkHistogram
from server.telemetry.dead_workers import unchanged
from server.telemetry.metric_files import reserve

# Prometheus waits ten seconds for a scrape by default; the counters are shown in any case.
READ_SECONDS = 1.0

_log = structlog.stdlib.get_logger("plexsphere.metrics")

ReadGauges = Callable[[Deadline], Lag]
# A gauge, the values of its labels, and what it is now.
Level = tuple[Gauge, tuple[str, ...], float]


class LaneLevels(Protocol):
    """A lane of the worker."""

    name: str
    threads: int

    @property
    def busy(self) -> int:
        """Threads that have a request."""
        ...

    @property
    def waiting(self) -> int:
        """Requests without a thread."""
        ...


ReadLanes = Callable[[], Iterable[LaneLevels]]

# Fewer, because a scrape reads each of them for every operation and stage.
_STAGE_SECONDS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One set of instruments. Dashboards use the names, so they are spelled in this module only."""

    def __init__(self) -> None:
        count_in_memory_without_room()
        self._registry = CollectorRegistry()
        self.answered = AnsweredRequests(self._add_up)
        self.levels: list[Callable[[], Iterable[Level]]] = []
        self.takers: list[Callable[[Sequence[Answered]], None]] = []
        self.requests = Counter(
            "plexsphere_http_requests",
            "Requests answered, by operation and status.",
            ("operation", "status"),
            registry=self._registry,
        )
        self.seconds = BulkHistogram(
            "plexsphere_http_request_seconds",
            "Time from the request's last byte to its answer.",
            ("operation",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.stages = BulkHistogram(
            "plexsphere_http_stage_seconds",
            "The part of that time that a request spent in a stage, by operation and stage.",
            ("operation", "stage"),
            buckets=_STAGE_SECONDS,
            registry=self._registry,
        )
        self.threads = Gauge(
            "plexsphere_threads",
            "Threads that answer requests, by lane.",
            ("lane",),
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.threads_busy = Gauge(
            "plexsphere_threads_busy",
            "Threads that have a request now, by lane.",
            ("lane",),
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.requests_waiting = Gauge(
            "plexsphere_requests_waiting",
            "Requests that wait for a thread now, by lane.",
            ("lane",),
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.pool_connections = Gauge(
            "plexsphere_pool_connections",
            "Connections to Postgres that a pool may have, by pool.",
            ("pool",),
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.pool_connections_used = Gauge(
            "plexsphere_pool_connections_used",
            "Connections to Postgres that requests use now, by pool.",
            ("pool",),
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.cached_peers = Gauge(
            "plexsphere_cached_peers",
            "Peer rows that processes keep, all Domains together.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.overloaded = Counter(
            "plexsphere_overloaded_requests",
            "Requests that the worker answered 503 `overloaded`, by lane.",
            ("lane",),
            registry=self._registry,
        )
        self.limited = Counter(
            "plexsphere_rate_limited_requests",
            "Requests that reached a limit, by limit.",
            ("limit",),
            registry=self._registry,
        )
        self.stale_answers = Counter(
            "plexsphere_stale_answers",
            "Pulls that were answered with the last answer while Postgres was away.",
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

        self.streams = Gauge(
            "plexsphere_event_streams_held",
            "Event streams that Nodes hold.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self.streams_cut = Counter(
            "plexsphere_event_streams_cut",
            "Event streams that ended because the client did not read.",
            registry=self._registry,
        )
        self.resyncs = Counter(
            "plexsphere_event_resyncs",
            "Openings of event streams that told the agent to pull.",
            registry=self._registry,
        )
        self.delivered = Counter(
            "plexsphere_events_delivered",
            "Events written to event streams, by stream.",
            registry=self._registry,
        )
        self.events_position = Gauge(
            "plexsphere_events_position",
            "The newest event of the bus that a process has taken.",
            multiprocess_mode="livemax",
            registry=self._registry,
        )
        self.events_behind = Gauge(
            "plexsphere_events_behind",
            "Events of the bus that the slowest process has not taken yet.",
            multiprocess_mode="livemax",
            registry=self._registry,
        )

    def _add_up(self, answered: Sequence[Answered]) -> None:
        """Count what was answered, and set the gauges to what they are now."""
        seconds: defaultdict[str, list[float]] = defaultdict(list)
        stages: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for request in answered:
            seconds[request.operation].append(request.seconds)
            for stage, spent in request.seconds_by_stage().items():
                stages[request.operation, stage].append(spent)
        statuses = TallyOf((request.operation, request.status) for request in answered)
        for (operation, status), number in statuses.items():
            self.requests.labels(operation, status).inc(number)
        for operation, values in seconds.items():
            self.seconds.labels(operation).observe_all(values)
        for labels, values in stages.items():
            self.stages.labels(*labels).observe_all(values)
        for read in self.levels:
            with _alone("levels_not_read"):
                for gauge, names, level in read():
                    (gauge.labels(*names) if names else gauge).set(level)
        for take in self.takers:
            with _alone("requests_not_taken"):
                take(answered)

    def of_lanes(self, lanes: Iterable[LaneLevels]) -> Iterator[Level]:
        """The levels of a worker's lanes."""
        for lane in lanes:
            yield self.threads, (lane.name,), lane.threads
            yield self.threads_busy, (lane.name,), lane.busy
            yield self.requests_waiting, (lane.name,), lane.waiting

    def exposition(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        self.answered.settle()
        directory = metrics_directory()
        if directory is None:
            return generate_latest(self._registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=directory)
        with unchanged(directory):
            return generate_latest(registry)


@contextmanager
def _alone(event: str) -> Iterator[None]:
    """An error inside is logged, and what comes next goes on."""
    try:
        yield
    except Exception:
        _log.exception(event)


def count_in_memory_without_room() -> None:
    """Let this process count in files, or where nobody else sees it: without room for the files,
    a count would end it."""
    folder = metrics_directory()
    try:
        if folder is not None:
            reserve(folder, os.getpid())
    except OSError as error:
        value_classes.ValueClass = value_classes.MutexValue
        _log.error("metrics_not_shared", cause=str(error))


class Exposition:
    """Implements handlers.service.MetricsSource. ``read`` is None without a ledger."""

    def __init__(self, metrics: Metrics, read: ReadGauges | None = None) -> None:
        self._metrics = metrics
        self._read = read

    def exposition(self, deadline: Deadline) -> tuple[bytes, str]:
        """The metrics, without the gauges where the ledger does not answer within a second."""
        gauges = generate_latest(_Families(self._gauges(deadline)))
        return self._metrics.exposition() + gauges, CONTENT_TYPE_PLAIN_0_0_4

    def _gauges(self, deadline: Deadline) -> Sequence[Metric]:
        if self._read is None:
            return ()
        try:
            return list(gauges(self._read(deadline.at_most(READ_SECONDS))))
        except ComposerError as error:
            _log.debug("ledger_gauges_left_out", cause=str(error))
        except Exception:
            _log.exception("ledger_gauges_failed")
        return ()


def gauges(lag: Lag) -> Iterator[Metric]:
    """The gauges of the ledger."""
    yield GaugeMetricFamily(
        "plexsphere_outbox_rows_waiting",
        "Rows of the outbox that SpiceDB has not taken yet.",
        lag.outbox.waiting,
    )
    yield GaugeMetricFamily(
        "plexsphere_outbox_oldest_row_age_seconds",
        "How long the oldest of them waits; 0 where none does.",
        lag.outbox.seconds,
    )
    yield GaugeMetricFamily(
        "plexsphere_outbox_rows_parked",
        "Rows of the outbox that SpiceDB calls invalid and nobody has repaired.",
        lag.outbox.parked,
    )
    yield GaugeMetricFamily(
        "plexsphere_evaluator_last_sweep_age_seconds",
        "How long ago an evaluator swept last; +Inf where none ever did.",
        math.inf if lag.sweep_age is None else lag.sweep_age,
    )
    comparison = lag.comparison
    yield GaugeMetricFamily(
        "plexsphere_authz_last_comparison_age_seconds",
        "How long ago a relay compared SpiceDB with the ledger last; +Inf where none ever did.",
        math.inf if comparison.age is None else comparison.age,
    )
    yield GaugeMetricFamily(
        "plexsphere_authz_differences",
        "Relationships that differed at the last comparison, before they were repaired.",
        comparison.differences,
    )
    yield GaugeMetricFamily(
        "plexsphere_authz_mended",
        "Relationships that all comparisons have repaired.",
        comparison.mended,
    )
    yield GaugeMetricFamily(
        "plexsphere_events_waiting",
        "Events that are not in the stream yet.",
        lag.events.waiting,
    )
    yield GaugeMetricFamily(
        "plexsphere_events_oldest_age_seconds",
        "How long the oldest of them waits; 0 where none does.",
        lag.events.seconds,
    )
    yield CounterMetricFamily(
        "plexsphere_events_published",
        "Events that relays have published, as the ledger counts them: each once.",
        lag.events.published,
    )
    yield GaugeMetricFamily(
        "plexsphere_clock_skew_seconds",
        "How far Postgres' clock is ahead of that of this instance; negative where it is behind.",
        lag.clock_skew,
    )


class _Families(Collector):
    """The form that the library accepts; a registry would collect them a second time."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families
