"""What /metrics shows: the workers' counters, and what the ledger itself says at the scrape.

The relay and the evaluator are processes without a port of their own. What they leave undone is in
the ledger, so every instance of the service can tell, and all tell the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import structlog
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from composer.deadline import Deadline
from composer.errors import ComposerError
from db.followers import Followers
from server.telemetry.metrics import Metrics

# A scrape is given up on after ten seconds by default, and shows the counters in any case.
READ_SECONDS = 1.0

_log = structlog.stdlib.get_logger("plexsphere.metrics")

ReadFollowers = Callable[[Deadline], Followers]


class Exposition:
    """Implements handlers.service.MetricsSource. ``read`` is None where there is no ledger."""

    def __init__(self, metrics: Metrics, read: ReadFollowers | None = None) -> None:
        self._metrics = metrics
        self._read = read

    def exposition(self, deadline: Deadline) -> tuple[bytes, str]:
        """Without the gauges where the ledger does not answer within a second."""
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


def gauges(found: Followers) -> Iterator[Metric]:
    """The names are an interface, as those of server/telemetry/metrics.py."""
    yield GaugeMetricFamily(
        "plexsphere_outbox_rows_waiting",
        "Rows of the outbox that SpiceDB has not taken yet.",
        found.lag.waiting,
    )
    yield GaugeMetricFamily(
        "plexsphere_outbox_oldest_row_age_seconds",
        "How long the oldest of them waits; 0 where none does.",
        found.lag.seconds,
    )
    yield GaugeMetricFamily(
        "plexsphere_outbox_rows_parked",
        "Rows of the outbox that SpiceDB calls invalid and nobody has repaired.",
        found.lag.parked,
    )
    yield GaugeMetricFamily(
        "plexsphere_evaluator_last_sweep_age_seconds",
        "How long ago an evaluator swept last; +Inf where none ever did.",
        math.inf if found.swept is None else found.swept,
    )


class _Families(Collector):
    """As the library takes them: without a registry, which would ask again."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        return self._families
