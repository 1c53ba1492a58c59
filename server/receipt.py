"""The wiring receipt: the adapter of each port, and which operations are live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from handlers.operation import AnyOperation, is_provisioned
from handlers.ports import LedgerPorts

LOAD_BEARING = ("SnapshotProvider", "RelationChecker", "NodeRepo")

_log = structlog.stdlib.get_logger("plexsphere")


@dataclass(frozen=True, slots=True)
class WiringReceipt:
    """Port name -> the adapter it is wired to, or None; ``operations`` -> live or refused."""

    ports: Mapping[str, str | None]
    operations: Mapping[str, str]
    test_clock: str = ""  # the file by which a test moves time; empty in production

    @property
    def complete(self) -> bool:
        """Whether the pull is live: every load-bearing port is wired."""
        return all(self.ports.get(port) for port in LOAD_BEARING)

    @property
    def missing(self) -> tuple[str, ...]:
        """The load-bearing ports that are not wired."""
        return tuple(port for port in LOAD_BEARING if not self.ports.get(port))

    def log(self) -> None:
        """Log one line at the start: a warning where the pull is not live."""
        log = _log.info if self.complete else _log.warning
        log(
            "wiring_receipt",
            complete=self.complete,
            missing=list(self.missing),
            ports=dict(self.ports),
            operations=dict(self.operations),
        )
        if self.test_clock:
            _log.warning("test_clock_moves_time", path=self.test_clock)

    def lines(self) -> list[str]:
        """The receipt for the command line."""
        summary = "complete" if self.complete else f"incomplete: {', '.join(self.missing)}"
        clock = [f"  TEST CLOCK: {self.test_clock} moves time"] if self.test_clock else []
        width = max(map(len, (*self.ports, *self.operations)), default=0)
        ports = [f"  {port:<{width}} {adapter or '-'}" for port, adapter in self.ports.items()]
        operations = [f"  {name:<{width}} {state}" for name, state in self.operations.items()]
        return [f"wiring receipt: {summary}", *clock, *ports, *operations]


def wiring_receipt(
    ledger: LedgerPorts | None,
    operations: Mapping[str, AnyOperation],
    *,
    audit: object | None,
    history: object | None,
    test_clock: str,
) -> WiringReceipt:
    """The receipt of a wiring."""
    adapters: dict[str, object | None] = {
        "SnapshotProvider": ledger and ledger.snapshots,
        "RelationChecker": ledger and ledger.relations,
        "NodeRepo": ledger and ledger.nodes,
        "HeartbeatSink": ledger and ledger.heartbeats,
        "ReachabilityRepo": ledger and ledger.reachability,
        "EntryStore": ledger and ledger.entries,
        "DomainRepo": ledger and ledger.domains,
        "DomainReader": ledger and ledger.domain_reader,
        "DomainNodes": ledger and ledger.domain_nodes,
        "DomainRegistry": ledger and ledger.domain_registry,
        "NodeRegistry": ledger and ledger.node_registry,
        "OutboxRelay": ledger and ledger.outbox,
        "DomainAuditReader": ledger and ledger.domain_audit,
        "NodeCredentials": ledger and ledger.credentials,
        "BootstrapTokens": ledger and ledger.bootstrap_tokens,
        "SecretKeySource": ledger and ledger.secret_keys,
        "RequestLimits": ledger and ledger.limits,
        "LastAnswers": ledger and ledger.last_answers,
        "AuditSink": audit,
        "BodyHistory": history,
        "TokenMint": ledger and ledger.optional.mint,
        "EventStreams": ledger and ledger.optional.events,
        "EventKeys": ledger and ledger.optional.event_keys,
    }
    return WiringReceipt(
        ports={
            port: None if adapter is None else type(adapter).__name__
            for port, adapter in adapters.items()
        },
        operations={
            name: "live" if is_provisioned(operation, ledger) else "refused"
            for name, operation in operations.items()
        },
        test_clock=test_clock,
    )
