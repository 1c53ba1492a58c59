"""Makes the adapters of a provisioned service: Postgres, SpiceDB and keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.audit import AuditSink, NoAudit
from composer.deadline import Deadline
from composer.identity import Principal
from composer.last_answers import LastAnswers, NoLastAnswers
from composer.limits import Limit
from composer.snapshot_composer import SnapshotComposer
from db.audit import PostgresAuditSink
from db.audit_reader import PostgresDomainAuditReader
from db.audit_spool import AuditSpool
from db.credentials import PostgresNodeCredentials
from db.domains import PostgresDomainReader, PostgresDomainRegistry, PostgresDomainRepo
from db.enrolment import PostgresBootstrapTokens
from db.entries import PostgresEntries
from db.event_keys import PostgresEventKeys
from db.health import clock_skew, read_lag
from db.heartbeat import PostgresHeartbeats
from db.history import BodyQueue
from db.ledger import PostgresLedger
from db.nodes import PostgresDomainNodes, PostgresNodeRegistry, PostgresNodeRepo
from db.outbox import PostgresOutbox
from db.pool import Pool, PoolGroup, read_pool
from db.reachability import PostgresReachabilityRepo
from handlers.operation import Authenticate
from handlers.ports import LedgerPorts, OptionalPorts
from handlers.wire import SnapshotWire
from server.authn.key_sources import key_source
from server.authn.keys import KeySource
from server.authn.secret_keys import Authenticator, RandomSecretKeys, SecretKeyVerifier
from server.authn.signing import JoinedKeys, JwtMint, OwnKeys
from server.authn.tokens import TokenVerifier
from server.authz.admin import SpiceDbAdmin
from server.authz.channel import SpiceDbChannel
from server.authz.checker import SpiceDbChecker
from server.authz.concurrency import ConcurrencyLimit
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.tuples import TupleWriter
from server.contract.document import Contract
from server.events.keys import EncryptedEventKeys, EventSigners
from server.gunicorn.sources import Sources
from server.http.body_history import BodyHistory
from server.http.last_answers import FileLastAnswers
from server.http.moments import MomentTable
from server.http.rate_limits import HostLimits, Rate, request_source
from server.http.request_audit import RequestAudit
from server.http.request_context import timed
from server.ledger_pools import host_positions, primary_pool, replica_pool, writer_pool
from server.settings import Settings, metrics_directory
from server.telemetry.metrics import Level, Metrics, ReadGauges
from server.telemetry.probes import (
    Probe,
    RecentNodes,
    bus_probe,
    clock_probe,
    keys_probe,
    ledger_probe,
    spicedb_probe,
)
from server.telemetry.readiness import AnsweredPulls, BackgroundProbe, unless_answered
from server.telemetry.recorders import (
    AuditRecorder,
    HistoryRecorder,
    PeerDropRecorder,
    TokenRecorder,
    record_parked_row,
    warning_logger,
)
from server.test_clock import test_clock_offset

if TYPE_CHECKING:
    from server.events.service import EventService

# Our tokens have under 600 bytes; the HTTP server's limit of a header is 8,190.
TOKEN_MAX_BYTES = 4_096
# Shorter than gunicorn's graceful_timeout. Rows that are not written by then are counted as lost.
AUDIT_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """All adapters. ``ledger`` is None where the service is not provisioned."""

    ledger: LedgerPorts | None
    authenticate: Authenticate
    audit: AuditSink | None = None
    history: BodyHistory | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict)
    pulls: AnsweredPulls = field(default_factory=AnsweredPulls)
    lag: ReadGauges | None = None
    start: Callable[[], None] = lambda: None
    close: Callable[[], None] = lambda: None

    @classmethod
    def absent(cls) -> Adapters:
        """The adapters of a service without a ledger, where no caller has a Principal."""
        return cls(ledger=None, authenticate=_no_principal)


def _no_principal(authorization_headers: list[str], deadline: Deadline) -> Principal | None:
    return None


def connect(
    settings: Settings, contract: Contract, metrics: Metrics, signing_keys: OwnKeys | None
) -> Adapters:
    """Make every adapter. Connections are opened at first use, after the fork.

    ``start`` begins to follow the event bus, where there is one.
    """
    threads = settings.shared_threads
    positions = host_positions(settings)
    group = PoolGroup()
    reads, replica = primary_pool(settings, positions, group), replica_pool(settings)
    # Two pools, so that heartbeats do not wait for writers of a whole Domain.
    writes = writer_pool(settings, positions, group)
    heartbeats = writer_pool(settings, positions, group)
    outbox_pool = PostgresOutbox(
        settings.dsn,
        size=settings.shared_threads.write,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
        check=positions.check,
        group=group,
    )
    # One connection; a scrape that finds it in use has no gauges. So scrapes, however many, take
    # no connections of pulls, and no threads while Postgres does not answer.
    scrapes = read_pool(
        settings.dsn,
        size=1,
        statement_timeout=settings.statement_timeout,
        pool_wait=0.1,
        application_name="plexsphere-state metrics",
        group=group,
    )
    channel = SpiceDbChannel(settings.spicedb, timeout=settings.spicedb_timeout, timed=timed)
    permits = ConcurrencyLimit(limit=threads.spicedb, timed=timed)
    relations = SpiceDbChecker(channel, permits, timed=timed)
    pulls, recent = AnsweredPulls(), RecentNodes()
    history = _body_queue(settings, metrics)
    sink = _audit_sink(settings, metrics, history)
    other_keys = (
        key_source(
            settings.jwks,
            on_warning=warning_logger("jwks"),
            max_age=settings.jwks_max_age,
            kept_in=_kept_keys(settings),
        )
        if settings.jwks
        else None
    )
    trusted_keys = _trusted(signing_keys, other_keys)
    verifier = TokenVerifier(
        trusted_keys,
        settings.jwt_issuer,
        settings.jwt_audience,
        leeway_s=settings.jwt_leeway,
        max_bytes=TOKEN_MAX_BYTES,
        on_refused=TokenRecorder(metrics).refused,
    )
    time_offset = test_clock_offset(settings.test_clock)
    credentials = PostgresNodeCredentials(reads, writes, time_offset)
    limits, last_answers = _limits(settings, metrics), _last_answers(settings, metrics)
    secret_keys = SecretKeyVerifier(
        credentials,
        clock=time.monotonic,
        failures=limits,
        kept_digests=last_answers.digests_of,
        on_refused=TokenRecorder(metrics).refused,
    )
    event_keys = EncryptedEventKeys(*settings.event_kek) if settings.event_kek else None
    stored_keys = PostgresEventKeys(reads, writes, event_keys) if event_keys else None
    events = None
    if settings.nats_url and event_keys and stored_keys:
        signers = EventSigners(stored_keys, event_keys)
        events = _event_service(
            settings=settings,
            contract=contract,
            metrics=metrics,
            signers=signers,
            last_answers=last_answers,
        )
    snapshot_wire = SnapshotWire()
    snapshot_ledger = PostgresLedger(
        reads,
        cached_rows=settings.cached_peers,
        timed=timed,
        prepare=lambda table: snapshot_wire.domain(snapshots.filtered(table)),
        positions=positions,
        replica=replica,
    )
    snapshots = SnapshotComposer(snapshot_ledger, PeerDropRecorder(metrics))
    hold_off = timedelta(seconds=settings.address_hold_off)
    ledger = LedgerPorts(
        relations=relations,
        nodes=PostgresNodeRepo(reads, snapshot_ledger),
        domains=PostgresDomainRepo(reads),
        snapshots=snapshots,
        wire=snapshot_wire,
        heartbeats=PostgresHeartbeats(heartbeats, time_offset, timed),
        reachability=PostgresReachabilityRepo(reads),
        entries=PostgresEntries(writes, settings.report_quota, settings.entry_quota),
        domain_reader=PostgresDomainReader(reads),
        domain_nodes=PostgresDomainNodes(reads),
        domain_registry=PostgresDomainRegistry(writes, time_offset, event_keys),
        node_registry=PostgresNodeRegistry(
            writes, hold_off=hold_off, node_quota=settings.node_quota, time_offset=time_offset
        ),
        outbox=SpiceDbOutboxRelay(outbox_pool, TupleWriter(channel), record_parked_row),
        domain_audit=PostgresDomainAuditReader(reads),
        credentials=credentials,
        secret_keys=RandomSecretKeys(),
        bootstrap_tokens=PostgresBootstrapTokens(
            writes, hold_off=hold_off, node_quota=settings.node_quota, time_offset=time_offset
        ),
        audit=RequestAudit(sink),
        limits=limits,
        last_answers=last_answers,
        optional=OptionalPorts(
            mint=(
                JwtMint(signing_keys, settings.jwt_issuer, settings.jwt_audience)
                if signing_keys
                else None
            ),
            event_keys=stored_keys,
            events=None if events is None else events.streams,
        ),
    )

    def levels() -> Iterator[Level]:
        pools: dict[str, Pool[Any]] = {
            "read": reads,
            "write": writes,
            "heartbeat": heartbeats,
            "metrics": scrapes,
        }
        for name, pool in pools.items():
            yield metrics.pool_connections, (name,), pool.size
            yield metrics.pool_connections_used, (name,), pool.used
        yield metrics.cached_peers, (), snapshot_ledger.cached_rows

    metrics.levels.append(levels)

    def close() -> None:
        if sink is not None:
            sink.close(AUDIT_FLUSH_SECONDS)
        if events is not None:
            events.close()
        for connections in (reads, writes, heartbeats, outbox_pool, scrapes, channel):
            connections.close()
        if replica is not None:
            replica.close()

    def start() -> None:
        if sink is not None:
            sink.start()
        if events is not None:
            events.start()

    return Adapters(
        ledger=ledger,
        authenticate=Authenticator(verifier, secret_keys, TOKEN_MAX_BYTES).principal,
        audit=sink or NoAudit(),
        history=history,
        probes={
            "postgres": _watched("postgres", ledger_probe(reads, recent), pulls),
            "spicedb": _watched("spicedb", spicedb_probe(SpiceDbAdmin(channel), recent), pulls),
            "clock": BackgroundProbe(
                "clock",
                clock_probe(
                    lambda deadline: clock_skew(reads, deadline, time.time),
                    settings.jwt_leeway,
                    pulls.are_unauthorized,
                ),
            ),
            "jwks": keys_probe(
                other_keys or trusted_keys,
                signing_keys,
                other_keys.failures if other_keys else lambda: 0,
            ),
            **({} if events is None else {"nats": bus_probe(events.is_current)}),
        },
        pulls=pulls,
        lag=partial(read_lag, scrapes),
        start=start,
        close=close,
    )


def _event_service(
    settings: Settings,
    contract: Contract,
    metrics: Metrics,
    signers: EventSigners,
    last_answers: LastAnswers,
) -> EventService:
    # Imported here, because nats-py takes 0.25 s to import and only an event bus needs it.
    from server.events.nats import NatsConnection
    from server.events.service import event_service

    return event_service(
        settings.dsn,
        connection=NatsConnection(settings.nats, "plexsphere-state", warning_logger("nats")),
        replicas=settings.nats_replicas,
        signers=signers,
        contract=contract,
        metrics=metrics,
        window_seconds=settings.event_window,
        on_reduced=last_answers.forget,
    )


def _watched(name: str, probe: Probe, pulls: AnsweredPulls) -> Probe:
    return unless_answered(BackgroundProbe(name, probe), pulls)


def _limits(settings: Settings, metrics: Metrics) -> HostLimits:
    sources = Sources(0, settings.trusted_proxies)
    minute = 60.0
    interval = settings.key_rotation_interval
    rotations = Rate(1 if interval else 0, interval)
    rates = {
        Limit.REFUSALS: Rate(settings.refusals_per_minute, minute),
        Limit.SECRET_KEYS: Rate(settings.secret_key_failures_per_minute, minute),
        Limit.REGISTRATIONS: Rate(settings.registrations_per_minute, minute),
        Limit.BOOTSTRAP_TOKENS: Rate(settings.registrations_per_minute, minute),
        Limit.ENROLMENTS: Rate(settings.enrolments_per_minute, minute),
        Limit.KEY_ROTATIONS: rotations,
        Limit.SECRET_KEY_ROTATIONS: rotations,
    }
    shared = metrics_directory()
    return HostLimits(
        rates,
        table=MomentTable(Path(shared, "limits") if shared else None),
        source=lambda: request_source(sources),
        on_limited=lambda limit: metrics.limited.labels(limit).inc(),
    )


def _last_answers(settings: Settings, metrics: Metrics) -> LastAnswers:
    shared = metrics_directory()
    if not settings.stale_read_ttl or not (settings.stale_read_folder or shared):
        return NoLastAnswers()
    folder = Path(settings.stale_read_folder or Path(shared or "", "last-answers"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileLastAnswers(
        folder,
        ttl=settings.stale_read_ttl,
        max_bytes=settings.stale_read_bytes,
        metrics=metrics,
    )


def _kept_keys(settings: Settings) -> Path | None:
    """The file of the last good key set; without a setting one that the workers share."""
    if settings.jwks_kept:
        return Path(settings.jwks_kept)
    shared = metrics_directory()
    return Path(shared, "jwks.json") if shared else None


def _trusted(signing_keys: OwnKeys | None, other_keys: KeySource | None) -> KeySource:
    """The keys that verify tokens: the service's own keys, then those of the JWKS."""
    if signing_keys is None or other_keys is None:
        keys = signing_keys or other_keys
        assert keys is not None, "the settings require one of them"
        return keys
    return JoinedKeys(signing_keys, other_keys, warning_logger("signing_key"))


def _body_queue(settings: Settings, metrics: Metrics) -> BodyQueue | None:
    """The queue of served bodies; None where bodies are not kept, which is the default."""
    if not settings.history:
        return None
    return BodyQueue(settings.history, on_lost=HistoryRecorder(metrics).lost)


def _audit_sink(
    settings: Settings, metrics: Metrics, history: BodyQueue | None
) -> PostgresAuditSink | None:
    """The audit sink; None where the audit is switched off."""
    if not settings.audit:
        return None
    recorder = AuditRecorder(metrics)
    return PostgresAuditSink(
        settings.dsn,
        capacity=settings.audit_queue,
        on_lost=recorder.lost,
        on_failed=recorder.failed,
        on_parked=recorder.parked,
        bodies=history,
        spool=_audit_spool(settings, recorder),
    )


def _audit_spool(settings: Settings, recorder: AuditRecorder) -> AuditSpool | None:
    if not settings.audit_spool:
        return None
    folder = Path(settings.audit_spool)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return AuditSpool(folder, settings.audit_spool_bytes, recorder.damaged)
