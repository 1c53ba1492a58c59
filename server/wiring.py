"""The composition root: where concrete adapters meet ports, in a straight line.

``wire(settings)`` is the only way to a running service; its receipt says what it wired.
Nothing is asked of Postgres, SpiceDB or the JWKS here: unreachable is not malformed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import flask

from composer.audit import AuditSink, SilentAudit
from composer.node_token import TokenMint
from db.audit import PostgresAuditSink
from db.health import read_lag
from db.history import BodyQueue
from db.pool import read_pool
from handlers import OPERATIONS
from handlers.service import NoPublishedKeys, ServicePorts
from server.authn.key_sources import key_source
from server.authn.signing import JoinedKeys, JwtMint, OwnKeys, own_keys
from server.authn.tokens import TokenVerifier
from server.authoring.problem_check import problem_complaints
from server.authoring.signatures import signature_complaints
from server.authz.admin import SpiceDbAdmin, SpiceDbReadiness
from server.authz.channel import SpiceDbChannel
from server.authz.checker import SpiceDbChecker
from server.authz.concurrency import ConcurrencyLimit
from server.authz.outbox_relay import SpiceDbOutboxRelay
from server.authz.tuples import TupleWriter
from server.contract.document import Contract
from server.contract.errors import ContractError
from server.http.app import Authenticate, build_app
from server.http.body_history import BodyHistory
from server.http.docs_page import docs_page
from server.http.held_audit import HeldAudit
from server.http.operations import bind, coverage_complaints, is_refused
from server.receipt import WiringReceipt
from server.settings import Settings
from server.telemetry.metrics import Exposition, Metrics, ReadGauges
from server.telemetry.probes import (
    DependencyProbes,
    Probe,
    keys_probe,
    ledger_probe,
    spicedb_probe,
    wiring_probe,
)
from server.telemetry.recorders import (
    AuditRecorder,
    HistoryRecorder,
    TokenRecorder,
    record_parked_row,
    warning_logger,
)
from server.wiring_pools import postgres_outbox, scrape_pool, write_sessions
from server.wiring_ports import ADAPTERS, Shared, operation_ports

DISTRIBUTION = "plexsphere-state"
# Ours have under 600 bytes; the HTTP server's own limit for a header is 8,190.
TOKEN_MAX_BYTES = 4_096
# Within gunicorn's graceful_timeout: what cannot be written by then is counted as lost.
AUDIT_FLUSH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Service:
    """A wired service. ``close`` flushes what is held and gives connections up."""

    app: flask.Flask
    receipt: WiringReceipt
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class LivePull:
    """What a provisioned pull is made of, and the operations that stand on the same parts.

    ``ports`` are those of the operations, by type.
    """

    ports: dict[type, object]
    mint: TokenMint | None
    authenticate: Authenticate
    audit: AuditSink
    history: BodyHistory | None
    probes: dict[str, Probe]
    lag: ReadGauges
    close: Callable[[], None]


def wire(settings: Settings) -> Service:
    """Build the service. Raises ContractError naming every operation that cannot be bound."""
    contract = Contract.packaged()
    complaints = coverage_complaints(contract, OPERATIONS)
    if not complaints:
        complaints = signature_complaints(contract.operations, OPERATIONS)
    if not complaints:
        complaints = [sentence for _, sentence in problem_complaints(contract, OPERATIONS)]
    if complaints:
        raise ContractError("\n".join(complaints))
    metrics = Metrics()
    own = own_keys(settings.signing_key, on_warning=warning_logger("signing_key"))
    if own is not None:
        own.current()  # now, while it is what was checked at the start: it may go bad at any time
    live = live_pull(settings, metrics, own) if settings.provisioned else None
    receipt = wiring_receipt(live, settings.test_clock)
    service = ServicePorts(
        health=DependencyProbes({"wiring": wiring_probe(receipt), **(live.probes if live else {})}),
        metrics=Exposition(metrics, live.lag if live else None),
        contract=contract.raw,
        docs_page=docs_page(contract),
        version=version(DISTRIBUTION),
        contract_version=contract.version,
        keys=own or NoPublishedKeys(),
    )
    ports: dict[type, object] = {ServicePorts: service}
    if live is not None:
        ports |= live.ports
    bound = bind(OPERATIONS, ports)
    app = build_app(
        contract,
        bound,
        live.authenticate if live else nobody,
        metrics,
        settings.pull_deadline,
        live.audit if live else None,
        settings.body_warning_bytes,
        live.history if live else None,
        answer_deadline_s=settings.answer_deadline,
    )
    return Service(app, receipt, live.close if live else lambda: None)


def live_pull(settings: Settings, metrics: Metrics, own: OwnKeys | None = None) -> LivePull:
    """Every adapter of the pull. Connections are made at first use, after the fork."""
    threads = settings.shared_threads
    pool = read_pool(settings.dsn, size=threads.read, statement_timeout=settings.statement_timeout)
    writes, heartbeats = write_sessions(settings), write_sessions(settings)
    channel = SpiceDbChannel(settings.spicedb, timeout=settings.spicedb_timeout)
    relations = SpiceDbChecker(channel, ConcurrencyLimit(limit=threads.spicedb))
    bodies = body_queue(settings, metrics)
    sink = audit_sink(settings, metrics, bodies)
    others = key_source(settings.jwks, on_warning=warning_logger("jwks"))
    keys = JoinedKeys(own, others, warning_logger("signing_key")) if own else others
    mint = JwtMint(own, settings.jwt_issuer, settings.jwt_audience) if own else None
    verifier = TokenVerifier(
        keys,
        settings.jwt_issuer,
        settings.jwt_audience,
        leeway_s=settings.jwt_leeway,
        max_bytes=TOKEN_MAX_BYTES,
        on_refused=TokenRecorder(metrics).refused,
    )
    outbox = postgres_outbox(settings)
    relay = SpiceDbOutboxRelay(outbox, TupleWriter(channel), record_parked_row)
    scrapes = scrape_pool(settings)
    shared = Shared(
        *(settings, metrics, pool, writes, heartbeats, relations, HeldAudit(), relay, mint)
    )

    def close() -> None:
        if sink is not None:
            sink.close(AUDIT_FLUSH_SECONDS)
        pool.close()
        writes.close()
        heartbeats.close()
        outbox.close()
        scrapes.close()
        channel.close()

    probes = {
        "postgres": ledger_probe(pool),
        "spicedb": spicedb_probe(SpiceDbReadiness(SpiceDbAdmin(channel))),
        "jwks": keys_probe(others, own),
    }
    audit = sink or SilentAudit()
    return LivePull(
        *(operation_ports(shared), mint, verifier.principal, audit, bodies, probes),
        lag=partial(read_lag, scrapes),
        close=close,
    )


def body_queue(settings: Settings, metrics: Metrics) -> BodyQueue | None:
    """None where no bodies are kept, which is how it comes."""
    if not settings.history:
        return None
    return BodyQueue(settings.history, on_lost=HistoryRecorder(metrics).lost)


def audit_sink(
    settings: Settings, metrics: Metrics, bodies: BodyQueue | None = None
) -> PostgresAuditSink | None:
    """None where audit is switched off: the nil sink is silent."""
    if not settings.audit:
        return None
    observer = AuditRecorder(metrics)
    return PostgresAuditSink(
        settings.dsn,
        capacity=settings.audit_queue,
        on_lost=observer.lost,
        on_failed=observer.failed,
        bodies=bodies,
    )


def wiring_receipt(live: LivePull | None, test_clock: str = "") -> WiringReceipt:
    """What stands behind each port, which operations are live, and whether a test moves time."""
    names = {port: adapter.__name__ if live else None for port, adapter in ADAPTERS.items()}
    names["AuditSink"] = type(live.audit).__name__ if live else None
    names["BodyHistory"] = type(live.history).__name__ if live and live.history else None
    names["TokenMint"] = type(live.mint).__name__ if live and live.mint else None
    ports = live.ports if live else {}
    operations = {
        name: "refused" if is_refused(function, ports) else "live"
        for name, function in OPERATIONS.items()
    }
    return WiringReceipt(names, operations, test_clock)


def nobody(authorization_headers: list[str]) -> None:
    """Authentication of a service that is not provisioned: there is no Principal."""
