"""The environment, read once into one frozen value.

No other module reads it, except server/dev, which runs the embedded stack. The file is long,
because it has every setting of the service.

Each setting is declared once, with its default, unit, bounds and meaning; docs/settings.md is made
from the declarations. Every bad setting is reported together with all the others, by name, with
what was expected. With ``PLEXSPHERE_DSN`` empty nothing else is required.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from composer.registry import MOST_NODES
from db.dsn import dsn_fault, is_unverified
from server.authn.key_sources import check_jwks_setting
from server.authn.signing import check_signing_setting
from server.authz.endpoint import SpiceDbEndpoint, check_endpoint
from server.events.endpoint import NatsEndpoint
from server.gunicorn.bounds import Bounds
from server.gunicorn.sources import Network
from server.setting_kinds import (
    DECLARATION,
    Setting,
    address,
    choice,
    clock_file,
    count,
    nats_urls,
    networks,
    seconds,
    secret_keys,
    switch,
    text,
)
from server.threads import LEAST_THREADS, RESERVED, Threads, shared_out

PREFIX = "PLEXSPHERE_"
# Variables of the command line and of `make run`, which are no settings of the service.
COMMAND_VARIABLES = {
    PREFIX + name: meaning
    for name, meaning in {
        "URL": "the service",
        "TOKEN": "the token of the agent of `PLEXSPHERE_NODE_ID`",
        "TOKEN_B": "the token for the second service of `diff`; `make run` writes none",
        "OPERATOR_TOKEN": "the token of a caller that manages the platform",
        "AUDITOR_TOKEN": "the token of a caller that reads the audit of `PLEXSPHERE_DOMAIN_ID`",
        "NODE_ID": "a Node of the sample",
        "BRIDGE_NODE_ID": "a Node of the sample that hosts a bridge",
        "IPV6_NODE_ID": "a Node of the sample with an IPv6 address",
        "DOMAIN_ID": "the Domain of these Nodes",
    }.items()
}
METRICS_FOLDER = "plexsphere-metrics-"  # part of the name of a folder that the service makes
_REFUSED_503 = "503 `datastore_unavailable`"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. The variable of a field is its name in capitals behind ``PLEXSPHERE_``."""

    dsn: str = text(
        "the ledger: Postgres, as a libpq URI or key=value string with a host",
        "empty: every operation on the ledger answers 501",
        is_secret=True,
    )
    unverified_postgres: str = text(
        "why Postgres may be used outside loopback without `sslmode=verify-full` in its DSN, in "
        "words that `doctor` shows",
        "empty: such a DSN is refused",
    )
    spicedb_endpoint: str = text("SpiceDB, as host:port", "required with a DSN")
    spicedb_token: str = text(
        "SpiceDB's preshared key", "required with a DSN; never shown", is_secret=True
    )
    spicedb_ca: str = text(
        "a PEM file with the CA that signed SpiceDB's certificate",
        "empty: the roots that gRPC carries",
    )
    spicedb_insecure: bool = switch(False, "no TLS to SpiceDB", "1 is refused outside loopback")
    spicedb_timeout: float = seconds(
        1.0, 0.05, 60, "the longest time of one call to SpiceDB", "503 `authz_unavailable`"
    )
    spicedb_calls: int = count(
        0,
        0,
        1000,
        "calls",
        "calls of each process to SpiceDB at once; 0: a share of the threads",
        "a request waits until another's call ends; then 503 `authz_unavailable`",
    )
    jwks: str = text(
        "the public keys that verify tokens: a JWKS file or an https URL, followed while the "
        "service runs",
        "empty: the service trusts its own signing key alone; without one, required with a DSN",
    )
    jwt_issuer: str = text(
        "the `iss` of accepted tokens", "required with a DSN; 401 for another `iss`"
    )
    jwt_audience: str = text(
        "the `aud` of accepted tokens", "required with a DSN; 401 for another `aud`"
    )
    jwt_leeway: float = seconds(
        30.0,
        0,
        300,
        "the difference of clocks that `exp`, `nbf` and `iat` may have",
        "401 `unauthorized`",
    )
    signing_key: str = text(
        "the service's own private JWK, or a set of them: a file, followed while the service "
        "runs, or JSON",
        "empty: the operations that give out tokens answer 501; never shown",
        is_secret=True,
    )
    event_kek: tuple[bytes, ...] = secret_keys(
        "the key that encrypts the private halves of the Domains' event keys in the ledger; a "
        "second one decrypts only",
        "empty: what needs an event key answers 501; never shown",
    )
    nats_url: tuple[str, ...] = nats_urls(
        "NATS with JetStream, over which events go: the servers of one cluster, comma-separated",
        "empty: no events, and `GetNodeEvents` answers 501",
    )
    nats_credentials: str = text(
        "a file: the `.creds` of NATS' own tools, or one line `user:password`; read at every "
        "connection",
        "empty: no authentication",
    )
    nats_ca: str = text(
        "a PEM file with the CA that signed the NATS servers' certificates",
        "empty: the roots of the system",
    )
    # An agent refuses an event that is older than 5 minutes.
    event_window: float = seconds(
        240.0,
        1,
        240,
        "how far back an event stream can be resumed",
        "the stream begins with `resync_required`, and its agent pulls",
    )
    nats_replicas: int = count(
        1,
        1,
        5,
        "servers",
        "servers that store each event, where the stream is made",
        "a cluster with fewer servers refuses to make the stream",
    )
    pull_deadline: float = seconds(
        3.0,
        0.1,
        60,
        "the time budget of one request, from when a thread takes it up",
        "503 of the dependency that the request waits for",
    )
    answer_deadline: float = seconds(
        27.0,
        0.1,
        600,
        "how long after its last byte a request may be answered; agents give up after 30 s",
        "a request that would wait longer for a thread is 503 `overloaded` at once",
    )
    statement_timeout: float = seconds(
        2.5,
        0.1,
        60,
        "the longest time of one statement, as Postgres itself measures it",
        f"Postgres ends the statement; {_REFUSED_503}",
    )
    pool_size: int = count(
        0,
        0,
        1000,
        "connections",
        "connections of each process that read the ledger; 0: a share of the threads",
        f"a request waits up to 1 s for a free one; then {_REFUSED_503}",
    )
    write_pool_size: int = count(
        0,
        0,
        1000,
        "connections",
        "connections of each process for each kind of writer (registry, heartbeats, outbox); 0: a "
        "share of the threads",
        f"a request waits up to 1 s for a free one; then {_REFUSED_503}",
    )
    lock_timeout: float = seconds(
        1.0,
        0.01,
        60,
        "how long a writer waits for a row that another writer holds",
        _REFUSED_503,
    )
    compare_interval: float = seconds(
        300.0,
        0,
        86_400,
        "how often a relay compares SpiceDB with the ledger and repairs what differs; 0: never",
        "a relationship that differs stays until `plexsphere-state authz repair`",
    )
    jwks_max_age: float = seconds(
        0.0,
        0,
        31_536_000,
        "how old a key set of a URL may be since it was last confirmed; 0: any age",
        "503 `keys_unavailable` for every token that one of its keys signed",
    )
    jwks_kept: str = text(
        "a file in which the last good key set of a URL is kept (mode 0600), for a start while the "
        "URL does not answer",
        "empty: kept for the next workers of the running service only",
    )
    stale_read_ttl: float = seconds(
        300.0,
        0,
        86_400,
        "how long the last answer of a Node's pull may be sent again while Postgres does not "
        "answer; 0: never",
        "503 `datastore_unavailable`",
    )
    stale_read_bytes: int = count(
        268_435_456,
        1_048_576,
        1_099_511_627_776,
        "bytes",
        "about what the last answers of a host have together",
        "the oldest are deleted",
    )
    stale_read_folder: str = text(
        "a folder for the last answers of pulls, which must be the service's alone (mode 0700), so "
        "that a start during an outage of Postgres still has them",
        "empty: a folder of the running service, which ends with it",
    )
    refusals_per_minute: int = count(
        300,
        0,
        1_000_000,
        "requests",
        "refusals by gate 2 of one subject from one source, for each host; 0: no limit",
        "429 `rate_limited`, but for what gate 2 granted the subject in the last 5 minutes",
    )
    registrations_per_minute: int = count(
        12_000,
        0,
        1_000_000,
        "requests",
        "registrations of one subject from one source, for each host; 0: no limit",
        "429 `rate_limited`",
    )
    enrolments_per_minute: int = count(
        600,
        0,
        1_000_000,
        "requests",
        "enrolments with a bootstrap token from one source, for each host; 0: no limit",
        "429 `rate_limited`",
    )
    secret_key_failures_per_minute: int = count(
        12_000,
        0,
        1_000_000,
        "requests",
        "node secret keys from one source that are not valid, for each host; 0: no limit",
        "401 `unauthorized` for each key that the process has not verified before",
    )
    key_rotation_interval: float = seconds(
        10.0,
        0,
        86_400,
        "the least time between two rotations of a public key, and between two of a secret key, by "
        "one subject from one source, for each host; 0: none",
        "429 `rate_limited`, but for a rotation to the same public key again",
    )
    # The longest unreachable_after there is: by then no peer expects the old Node any more.
    address_hold_off: float = seconds(
        3_600.0,
        0,
        31_536_000,
        "how long a released address is not given to another Node",
        "503 `pool_exhausted` where a Domain has no other address left",
    )
    cached_peers: int = count(
        200_000,
        0,
        100_000_000,
        "rows",
        "peer rows that each process keeps, all Domains together; about half a kilobyte each",
        "the rows of the Domain that was pulled longest ago are dropped, and read again at its "
        "next pull",
    )
    node_quota: int = count(
        MOST_NODES,
        1,
        MOST_NODES,
        "Nodes",
        "Nodes that a Domain may have; with more, an agent could not read the peers",
        "409 `node_quota_exceeded`",
    )
    report_quota: int = count(
        128, 1, 100_000, "entries", "reports that a Node may have", "409 `report_quota_exceeded`"
    )
    entry_quota: int = count(
        128,
        1,
        100_000,
        "entries",
        "metadata entries that a Node may have, and data entries",
        "409 `entry_quota_exceeded`",
    )
    audit: bool = switch(
        True,
        "write audit rows",
        "0: the rows of writes only, which are in the transactions of the writes",
    )
    audit_queue: int = count(
        50_000,
        1,
        10_000_000,
        "rows",
        "audit rows of each process that wait for the ledger",
        "the row is lost, logged and counted in `plexsphere_audit_rows_lost_total`",
    )
    history: int = count(
        0,
        0,
        100,
        "bodies",
        "served bodies that are kept of each Node, for `fleet history`; needs the audit",
        "the oldest body of the Node is removed",
    )
    body_warning_bytes: int = count(
        8_388_608,
        1,
        2**40,
        "bytes",
        "the size from which a snapshot is logged; agents cut a body off at 10 MiB",
        "the body is sent, logged as `snapshot_large` and counted in "
        "`plexsphere_large_snapshots_total`",
    )
    commit: str = text("the commit that `/v1/version` names", "empty: `unknown`")
    commit_date: str = text("the time of that commit", "empty: `unknown`")
    log_format: str = choice(
        "json", ("json", "console"), "the form of a log line", "console: for people"
    )
    log_level: str = choice(
        "info",
        ("debug", "info", "warning", "error"),
        "the lowest level that is logged",
        "lower levels are not written",
    )
    log_queue: int = count(
        10_000,
        100,
        10_000_000,
        "lines",
        "log lines of each process that wait for the reader of stdout",
        "the line is lost and counted in `log_lines_dropped`",
    )
    log_repeats: int = count(
        60,
        1,
        1_000_000,
        "lines a minute",
        "how many equal lines are written: `peer_dropped` of one addressed Node, peer row and "
        "outcome; `request_refused` of one operation, status, code and path; `request_malformed` "
        "of one status and cause",
        "further ones are counted in one line with `repeated`; counters count all",
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
        2, 1, 1024, "processes", "worker processes", "further requests wait for a free thread"
    )
    threads: int = count(
        24,
        LEAST_THREADS,
        1024,
        "threads",
        "threads of each process: 3 for requests that need no ledger, and one for each "
        "connection to Postgres and each call to SpiceDB",
        "further requests wait for a free thread; pools that do not fit refuse the start",
    )
    connections: int = count(
        20_000,
        16,
        1_000_000,
        "connections",
        "connections of clients that each process accepts, idle ones included; at most as many as "
        "its descriptors allow",
        "the connection that has been idle for longest is closed; without one, further connections "
        "wait in the listener's queue",
    )
    source_connections: int = count(
        12_000,
        1,
        1_000_000,
        "connections",
        "connections of one address that each process accepts; behind a proxy, its requests that "
        "are not answered yet",
        "further connections are closed at once; behind a proxy, 503 `overloaded`",
    )
    trusted_proxies: tuple[Network, ...] = networks(
        "networks of proxies in front, comma-separated: the service takes the address of a client "
        "from their `X-Forwarded-For`",
        "empty: the address of a client is that of its connection",
    )
    head_timeout: float = seconds(
        10.0,
        0.1,
        60,
        "how long the head of a request may take",
        "408; closed where no byte has come",
    )
    body_rate: int = count(
        1_024,
        1,
        1_073_741_824,
        "bytes a second",
        "the least rate of a body, after its first 5 s; a body may take 30 s",
        "408",
    )
    send_timeout: float = seconds(
        30.0, 0.1, 600, "how long a client may take to receive an answer", "the connection is reset"
    )
    unread_bytes: int = count(
        33_554_432,
        1_048_576,
        1_099_511_627_776,
        "bytes",
        "memory of each process for requests that no thread has read yet",
        "the connections whose requests have taken longest are closed",
    )
    unsent_bytes: int = count(
        268_435_456,
        1_048_576,
        1_099_511_627_776,
        "bytes",
        "memory of each process for answers that clients have not received yet",
        "the connections whose answers have taken longest are closed",
    )
    # A longer interval would make a takeover look like a pause (composer/reachability.py).
    evaluator_interval: float = seconds(
        5.0,
        0.1,
        6,
        "the time between two sweeps of `plexsphere-state evaluator`",
        "a Node becomes stale or unreachable up to that much later",
    )
    test_clock: str = clock_file(
        "for tests only: a file with the seconds by which the service's time is ahead",
        "the receipt and the log name the file",
    )

    @property
    def shared_threads(self) -> Threads:
        """The number of threads of each kind of work."""
        return shared_out(self.threads, self.pool_size, self.write_pool_size, self.spicedb_calls)

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

    @property
    def provisioned(self) -> bool:
        """Whether the operations on the ledger are meant to be live."""
        return bool(self.dsn)

    @property
    def spicedb(self) -> SpiceDbEndpoint:
        """The address of SpiceDB, and its credentials."""
        return SpiceDbEndpoint(
            address=self.spicedb_endpoint,
            preshared_key=self.spicedb_token,
            ca=Path(self.spicedb_ca) if self.spicedb_ca else None,
            insecure=self.spicedb_insecure,
        )

    @property
    def nats(self) -> NatsEndpoint:
        """Where NATS is, and how it is called."""
        return NatsEndpoint(
            urls=self.nats_url,
            credentials=Path(self.nats_credentials) if self.nats_credentials else None,
            ca=Path(self.nats_ca) if self.nats_ca else None,
        )


class SettingsError(Exception):
    """The environment cannot be served; ``complaints`` has one sentence for each bad setting."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


def declared_settings() -> Mapping[str, tuple[Setting, Any]]:
    """Variable -> its declaration and its default, in the order of the page."""
    return {
        PREFIX + setting.name.upper(): (setting.metadata[DECLARATION], setting.default)
        for setting in fields(Settings)
    }


def set_variables() -> dict[str, str]:
    """The settings that this shell has, as texts."""
    reader = _Reader(os.environ)
    return {name: text for name in declared_settings() if (text := reader.text(name))}


def environment_with(**variables: str) -> dict[str, str]:
    """The environment of a program that a command starts: that of this process, and these."""
    return {**os.environ, **variables}


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable that has our prefix and that nothing of this release reads.

    It refuses no start, because other programs may share the prefix.
    """
    known = [*declared_settings(), *COMMAND_VARIABLES]
    found = os.environ if environ is None else environ
    unknown = sorted(name for name in found if name.startswith(PREFIX) and name not in known)
    return [_unknown(name, known) for name in unknown]


def _unknown(name: str, known: list[str]) -> str:
    similar = get_close_matches(name, known, n=1, cutoff=0.8)
    hint = f": is {similar[0]} meant?" if similar else ""
    return f"{name} is no setting of this release{hint}"


class _Reader:
    """Reads variables and collects what is wrong with them, one sentence a variable at most."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._complaints: dict[str, str] = {}

    def text(self, name: str) -> str:
        """A blank variable is an unset one."""
        return self._environ.get(name, "").strip()

    def value(self, name: str, setting: Setting, default: Any) -> Any:
        text = self.text(name)
        if not text:
            return default
        try:
            return setting.parse(text)
        except ValueError:
            self.complain(name, f"must be {setting.expected}")
            return default

    def require(self, name: str, expected: str) -> None:
        if not self.text(name):
            self.complain(name, f"is not set; it must be {expected}")

    def complain(self, name: str, sentence: str) -> None:
        self._complaints.setdefault(name, f"{name} {sentence}")

    def complaints(self, order: Mapping[str, object]) -> list[str]:
        return [self._complaints[name] for name in order if name in self._complaints]


def read_settings(
    environ: Mapping[str, str] | None = None, ledger_only: bool = False, tokenless: bool = False
) -> Settings:
    """The settings of this process. Raises SettingsError with every complaint at once.

    With ``ledger_only`` nothing is required of what only requests need: SpiceDB and the tokens;
    with ``tokenless`` SpiceDB is required, and the DSN too.
    """
    reader = _Reader(os.environ if environ is None else environ)
    declared = declared_settings()
    settings = Settings(
        **{
            name.removeprefix(PREFIX).lower(): reader.value(name, setting, default)
            for name, (setting, default) in declared.items()
        }
    )
    if settings.dsn and (fault := _dsn_fault(settings.dsn, settings.unverified_postgres)):
        reader.complain(PREFIX + "DSN", fault)
    if (settings.dsn or tokenless) and not ledger_only:
        _check_stores(reader, settings)
    if settings.dsn and not ledger_only and not tokenless:
        _check_tokens(reader, settings)
    _check_signing_key(reader, settings)
    _check_nats(reader, settings)
    _check_telemetry(reader, settings)
    needed = settings.shared_threads.needed
    if needed > settings.threads:
        sizes = ("POOL_SIZE", "WRITE_POOL_SIZE (three times)", "SPICEDB_CALLS")
        places = ", ".join(PREFIX + size for size in sizes)
        reader.complain(
            PREFIX + "THREADS", f"must be at least {needed}, the sum of {places} and {RESERVED}"
        )
    if settings.history and not settings.audit:  # audit rows tell when each body was served
        reader.complain(PREFIX + "HISTORY", f"must be 0 where {PREFIX}AUDIT is 0")
    complaints = reader.complaints(declared)
    if complaints:
        raise SettingsError(complaints)
    return settings


def dsn_complaint(dsn: str) -> str | None:
    """The fault of the DSN of a command, as a sentence that follows its name."""
    return _dsn_fault(dsn, _Reader(os.environ).text(PREFIX + "UNVERIFIED_POSTGRES"))


def _dsn_fault(dsn: str, why_unverified: str) -> str | None:
    fault = dsn_fault(dsn)
    if fault is None and not why_unverified and is_unverified(dsn):
        return (
            "leads outside loopback and must say sslmode=verify-full itself (and sslrootcert=FILE "
            f"for a CA of your own); {PREFIX}UNVERIFIED_POSTGRES takes a reason why not"
        )
    return fault


def _check_stores(reader: _Reader, settings: Settings) -> None:
    """The ledger and the relationships."""
    expected = "a libpq URI or key=value string with a host"
    reader.require(PREFIX + "DSN", expected)
    reader.require(PREFIX + "SPICEDB_ENDPOINT", "host:port")
    reader.require(PREFIX + "SPICEDB_TOKEN", "SpiceDB's preshared key")
    for complaint in check_endpoint(settings.spicedb):
        part, _, expected = complaint.partition(": ")
        reader.complain(f"{PREFIX}SPICEDB_{part.upper()}", f"is malformed: {expected}")


def _check_tokens(reader: _Reader, settings: Settings) -> None:
    """The settings that verify a caller's token."""
    if not settings.signing_key:
        reader.require(PREFIX + "JWKS", "a file with a JWKS or an https URL")
    complaint = check_jwks_setting(settings.jwks) if settings.jwks else None
    if complaint:
        reader.complain(PREFIX + "JWKS", complaint)
    reader.require(PREFIX + "JWT_ISSUER", "the `iss` of accepted tokens")
    reader.require(PREFIX + "JWT_AUDIENCE", "the `aud` of accepted tokens")


def _check_signing_key(reader: _Reader, settings: Settings) -> None:
    """Optional: without it the operations that give out tokens answer 501."""
    key = settings.signing_key
    complaint = check_signing_setting(key, settings.jwks) if key else None
    if complaint:
        reader.complain(PREFIX + "SIGNING_KEY", complaint)


def _check_nats(reader: _Reader, settings: Settings) -> None:
    """Optional: without it there are no events."""
    for name, path in (("CREDENTIALS", settings.nats_credentials), ("CA", settings.nats_ca)):
        if path and not os.access(path, os.R_OK):
            reader.complain(f"{PREFIX}NATS_{name}", "must be a file that can be read")
    if settings.nats_url and not settings.event_kek:
        expected = (
            "set where there is a PLEXSPHERE_NATS_URL; `plexsphere-state events kek` makes one"
        )
        reader.complain(PREFIX + "EVENT_KEK", f"must be {expected}")


def _check_telemetry(reader: _Reader, settings: Settings) -> None:
    """Optional: spans, and an address of their own for what only operators ask for."""
    if settings.otlp_url and not settings.otlp_url.startswith(("http://", "https://")):
        reader.complain(PREFIX + "OTLP_URL", "must be an http or https URL")
    elif settings.otlp_url and not find_spec("opentelemetry"):
        remedy = "pip install 'plexsphere-state[otel]'"
        reader.complain(PREFIX + "OTLP_URL", f"needs packages that are not installed: {remedy}")
    port = settings.internal_bind.rpartition(":")[2]
    if settings.internal_bind.startswith("unix:") or port == settings.bind.rpartition(":")[2]:
        expected = f"host:port, with another port than {PREFIX}BIND"
        reader.complain(PREFIX + "INTERNAL_BIND", f"must be {expected}")


def metrics_directory() -> str | None:
    """The folder in which prometheus-client adds the workers up; None with a single process."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")


def share_metrics(directory: str) -> None:
    """Let the workers that are forked from here on count in one directory."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
