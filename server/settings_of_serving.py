"""Settings: logs, telemetry, processes and the connections of clients."""

from __future__ import annotations

from dataclasses import dataclass

from server.gunicorn.bounds import Bounds
from server.gunicorn.sources import Network
from server.setting_kinds import (
    address,
    choice,
    clock_file,
    count,
    networks,
    path_prefix,
    seconds,
    switch,
    text,
)
from server.settings_of_limits import LimitSettings
from server.threads import LEAST_THREADS


@dataclass(frozen=True, slots=True)
class ServingSettings(LimitSettings):
    """The third of the groups of Settings."""

    commit: str = text(
        "the commit that `/v1/version` names", "empty: that of the wheel's build, or `unknown`"
    )
    commit_date: str = text("the time of that commit", "empty: as for the commit")
    log_format: str = choice(
        default="json",
        choices=("json", "console"),
        meaning="the form of a log line",
        at_limit="console: for people",
    )
    log_level: str = choice(
        default="info",
        choices=("debug", "info", "warning", "error"),
        meaning="the lowest level that is logged",
        at_limit="lower levels are not written",
    )
    log_queue: int = count(
        default=10_000,
        low=100,
        high=10_000_000,
        unit="lines",
        meaning="log lines of each process that wait for the reader of stdout",
        at_limit="the line is lost and counted in `log_lines_dropped`",
    )
    log_repeats: int = count(
        default=6,
        low=1,
        high=1_000_000,
        unit="lines a minute",
        meaning="how many equal lines are written: `peer_dropped` of one addressed Node, peer "
        "row and outcome; `request_refused` of one operation, status, code and path; "
        "`request_malformed` of one status and cause",
        at_limit="further ones are counted in one line with `repeated`; counters count all",
    )
    access_log: bool = switch(
        False, "a line `request` of the log for each request", "1: as for any line of the log"
    )
    otlp_url: str = text(
        "where spans go: a collector of OpenTelemetry, as `http://collector:4318/v1/traces`; needs "
        "the extra `otel`",
        "empty: no spans; a collector that does not answer loses them",
    )
    bind: str = address(
        "127.0.0.1:8080", "where the service listens", "an address in use: no start"
    )
    internal_bind: str = address(
        "", "another address to listen on, with `/metrics` and `/docs`", "empty: they are on both"
    )
    workers: int = count(
        default=2,
        low=1,
        high=1024,
        unit="processes",
        meaning="worker processes",
        at_limit="further requests wait for a free thread",
    )
    threads: int = count(
        default=24,
        low=LEAST_THREADS,
        high=1024,
        unit="threads",
        meaning="threads of each process: 3 for requests that need no ledger, and one for each "
        "connection to Postgres and each call to SpiceDB",
        at_limit="further requests wait for a free thread; pools that do not fit refuse the start",
    )
    connections: int = count(
        default=20_000,
        low=16,
        high=1_000_000,
        unit="connections",
        meaning="connections of clients that each process accepts, idle ones included; at most "
        "as many as its descriptors allow",
        at_limit="the connection that has been idle for longest is closed; without one, further "
        "connections wait in the listener's queue",
    )
    source_connections: int = count(
        default=12_000,
        low=1,
        high=1_000_000,
        unit="connections",
        meaning="connections of one address that each process accepts; behind a proxy, its "
        "requests that are not answered yet",
        at_limit="further connections are closed at once; behind a proxy, 503 `overloaded`",
    )
    path_prefix: str = path_prefix(
        "the path below which a proxy serves the service; the proxy removes it from requests",
        "`Location` begins with it",
    )
    trusted_proxies: tuple[Network, ...] = networks(
        "networks of proxies in front, comma-separated: the service takes the address of a client "
        "from their `X-Forwarded-For`",
        "empty: the address of a client is that of its connection",
    )
    head_timeout: float = seconds(
        default=10.0,
        low=0.1,
        high=60,
        meaning="how long the head of a request may take",
        at_limit="408; closed where no byte has come",
    )
    body_rate: int = count(
        default=1_024,
        low=1,
        high=1_073_741_824,
        unit="bytes a second",
        meaning="the least rate of a body, after its first 5 s; a body may take 30 s",
        at_limit="408",
    )
    send_timeout: float = seconds(
        default=30.0,
        low=0.1,
        high=600,
        meaning="how long a client may take to receive an answer",
        at_limit="the connection is reset",
    )
    unread_bytes: int = count(
        default=33_554_432,
        low=1_048_576,
        high=1_099_511_627_776,
        unit="bytes",
        meaning="memory of each process for requests that no thread has read yet",
        at_limit="the connections whose requests have taken longest are closed",
    )
    # One answer may have 16 MiB (UNSENT_MAX_BYTES): a smaller limit would let nobody have it.
    unsent_bytes: int = count(
        default=268_435_456,
        low=16_777_216,
        high=1_099_511_627_776,
        unit="bytes",
        meaning="memory of each process for answers that clients have not received yet",
        at_limit="the connections whose answers have taken longest are closed",
    )
    # A longer interval would make a takeover look like a pause (composer/reachability.py).
    evaluator_interval: float = seconds(
        default=5.0,
        low=0.1,
        high=6,
        meaning="the time between two sweeps of `plexsphere-state evaluator`",
        at_limit="a Node becomes stale or unreachable up to that much later",
    )
    test_clock: str = clock_file(
        "for tests only: a file with the seconds by which the service's time is ahead",
        "the receipt and the log name the file",
    )

    @property
    def bounds(self) -> Bounds:
        """The bounds that are settings; the others are constants."""
        return Bounds(
            connections=self.connections,
            source_connections=self.source_connections,
            trusted_proxies=self.trusted_proxies,
            head_seconds=self.head_timeout,
            body_rate=self.body_rate,
            send_seconds=self.send_timeout,
            unread_bytes=self.unread_bytes,
            unsent_bytes=self.unsent_bytes,
        )
