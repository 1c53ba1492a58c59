"""Writes a second over HTTP, beside the floor of the same server by the same clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.table import Column, Table

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.bench.driver import Driven, Source, drive, request_bytes
from tests.bodies import JSON
from tests.client import bearer

WARM_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """One row: what was asked for, by how many clients."""

    what: str
    clients: int
    found: Driven


def operator(stack: Stack) -> Mapping[str, str]:
    return {**JSON, **bearer(stack.token(OPERATOR))}


def floor(stack: Stack, clients: int, seconds: float) -> Rate:
    """GET /v1/version: same HTTP server, same routing and checks, nothing behind it."""
    raw = request_bytes(stack.url, "/v1/version", {})
    return Rate("floor", clients, warm(stack.url, lambda: raw, 200, clients, seconds))


def warm(url: str, requests: Source, wanted: int, clients: int, seconds: float) -> Driven:
    """The rate after a second of the same load, by as many clients as find every worker."""
    drive(url, requests, wanted, max(clients, 8), WARM_SECONDS)
    return drive(url, requests, wanted, clients, seconds)


def rates_table(rates: Iterable[Rate]) -> Table:
    """Each row beside the newest floor before it, which is one of as many clients."""
    table = Table(
        Column("over HTTP", no_wrap=True),
        *("clients", "per s", "floor", "p50 ms", "p99 ms", "refused", "driver"),
        caption="refused: another status, or no answer; driver: the share of a core that it took",
    )
    of = 0.0
    for rate in rates:
        found = rate.found
        of = found.per_second if rate.what == "floor" else of
        table.add_row(
            rate.what,
            str(rate.clients),
            f"{found.per_second:,.1f}",
            f"{found.per_second / of:.3f}" if of else "-",
            f"{found.milliseconds(0.5):,.0f}",
            f"{found.milliseconds(0.99):,.0f}",
            found.refused,
            f"{found.own_share:.0%}",
        )
    return table
