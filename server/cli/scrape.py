"""Two scrapes of /metrics, and what happened between them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import requests
from prometheus_client.parser import text_string_to_metric_families

from server.cli.addresses import url_of_internal_bind
from server.cli.failures import Failure
from server.cli.service import ServiceAccess, get, without_credentials

TIMEOUT = 3.0
Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """The samples by name and labels, and the monotonic moment of the scrape."""

    at: float
    samples: Mapping[tuple[str, Labels], float]


def scrape(url: str) -> Scrape:
    """One scrape. Raises Failure where the service does not answer it."""
    answer = get(ServiceAccess(url, "", TIMEOUT), "/metrics")
    if answer.status_code != requests.codes.ok:
        here = url_of_internal_bind()
        raise Failure(
            f"{without_credentials(url)} answers /metrics with {answer.status_code}: --url must "
            "lead to the instance itself, at its PLEXSPHERE_INTERNAL_BIND where that is set"
            f"{f' (here {here})' if here else ''}."
        )
    return Scrape(time.monotonic(), samples_of(answer.text))


def samples_of(text: str) -> dict[tuple[str, Labels], float]:
    """The samples of Prometheus' text format."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Change:
    """The difference from one scrape to the next. A counter that restarted counts from zero."""

    def __init__(self, before: Scrape, after: Scrape) -> None:
        self._before = before
        self._after = after

    @cached_property
    def _seconds(self) -> float:
        return max(1e-9, self._after.at - self._before.at)

    def _rises(self, name: str, **labels: str) -> dict[Labels, float]:
        wanted = set(labels.items())
        found = {}
        for (sample, own), value in self._after.samples.items():
            if sample == name and wanted <= own:
                before = self._before.samples.get((sample, own), 0.0)
                found[own] = value - before if value >= before else value
        return found

    def rate(self, name: str, **labels: str) -> float:
        """The rise of a counter, all its labels together, a second."""
        return sum(self._rises(name, **labels).values()) / self._seconds

    def operations(self) -> list[str]:
        """The operations with requests, the most frequent first."""
        counts: dict[str, float] = {}
        for labels, rise in self._rises("plexsphere_http_requests_total").items():
            operation = dict(labels)["operation"]
            counts[operation] = counts.get(operation, 0.0) + rise
        return sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])

    def share_of_bad(self, operation: str) -> float:
        """The share of answers with 500 or above."""
        rises = self._rises("plexsphere_http_requests_total", operation=operation)
        bad = sum(rise for labels, rise in rises.items() if dict(labels)["status"] >= "500")
        return bad / (sum(rises.values()) or 1.0)

    def quantile(self, share: float, histogram: str, **labels: str) -> float | None:
        """The quantile by the buckets, as histogram_quantile; None without a value."""
        rises = self._rises(f"{histogram}_bucket", **labels)
        buckets = sorted((float(dict(own)["le"]), rise) for own, rise in rises.items())
        wanted = share * buckets[-1][1] if buckets else 0.0
        lower, below = 0.0, 0.0
        for bound, count in buckets:
            if wanted and count >= wanted:
                if bound == float("inf"):
                    return lower
                return lower + (bound - lower) * (wanted - below) / (count - below)
            lower, below = bound, count
        return None

    def means(self, histogram: str, label: str, **labels: str) -> dict[str, float]:
        """The mean by one label, of those with values."""
        counts = self._rises(f"{histogram}_count", **labels)
        sums = self._rises(f"{histogram}_sum", **labels)
        return {dict(own)[label]: sums[own] / count for own, count in counts.items() if count}

    def levels(self, gauge: str, label: str) -> dict[str, float]:
        """The gauge by one label, now."""
        return {
            dict(own)[label]: value
            for (name, own), value in self._after.samples.items()
            if name == gauge
        }

    def level(self, gauge: str) -> float | None:
        """A gauge without labels, now; None where it is absent."""
        return self._after.samples.get((gauge, frozenset()))
