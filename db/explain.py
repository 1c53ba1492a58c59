"""The reasons of a Node's snapshot: the ledger rows behind every block, from one moment.

For people: ``plexsphere-state snapshot --explain``. Nothing is filtered or decided here: the
composer's own functions say whether a row is served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import CorruptLedger, NodeNotFound
from composer.peers import PeerRow, broken_invariant
from composer.policy import RuleSetRow, policy
from db.connections import ReadSession, Row, SingleConnection
from db.statements import statement

STATEMENT_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True)
class NodeColumns:
    """The Addressed Node's own row and its Domain's; times are Postgres' text, in UTC."""

    id: str
    name: str
    domain_id: str
    domain_name: str
    peers_revision: str
    reachability_state: str
    last_heartbeat_at: str | None
    changed_at: str
    has_authz_token: bool


@dataclass(frozen=True, slots=True)
class Assignment:
    """A relay assignment; the one that is ``served`` is the peer's fallback_endpoint."""

    bridge_resource_id: str
    host_node_id: str
    enabled: bool
    same_domain: bool
    host: str
    port: int
    served: bool


@dataclass(frozen=True, slots=True)
class DomainNode:
    """A Node of the Domain; ``broken`` is the per-peer invariant its row breaks, if any."""

    id: str
    name: str
    mesh_ip: str | None
    public_key: bytes | None
    broken: str | None
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class CompiledRow:
    """A row of ``policy_compiled_ruleset``; ``fault`` is why it fails the pull, or None."""

    policy_id: str
    revision_id: str
    compiled_at: str
    payload_bytes: int
    fingerprint_holds: bool
    rules: int | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class BridgeRow:
    """A row of the bridge Resource or of one of its aggregates."""

    table: str
    key: str
    says: str
    written_at: str


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """A row of ``node_state_entries`` without its value."""

    kind: str
    key: str
    value_bytes: int
    workload_tag: str | None
    updated_at: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every row from which the snapshot of ``node`` is composed."""

    node: NodeColumns
    domain: tuple[DomainNode, ...]
    policies: tuple[CompiledRow, ...]
    bridge: tuple[BridgeRow, ...]
    entries: tuple[EntryFacts, ...]


def explain(
    dsn: str, node_id: UUID, seconds: float = 15.0, clock: Callable[[], float] = time.monotonic
) -> Explanation:
    """All rows, read within ``seconds``.

    Raises NodeNotFound, DatastoreUnavailable or another ComposerError.
    """
    connection = SingleConnection(
        dsn,
        ReadSession,
        application_name="plexsphere-state explain",
        parameters={"statement_timeout": str(STATEMENT_TIMEOUT_MS)},
        keep=False,
    )
    with connection.session(Deadline.after(seconds, clock), "explaining") as session:
        session.run(statement("explain_begin"))

        def read(name: str, **arguments: str) -> list[Row]:
            return session.run(statement(name), arguments)

        of_node = {"node_id": str(node_id)}
        found = read("explain_node", **of_node)
        if not found:
            raise NodeNotFound(f"node_id={node_id}")
        node = NodeColumns(*found[0])
        of_domain = {"domain_id": node.domain_id}
        relays = _relays(read("explain_relays", **of_domain))
        return Explanation(
            node=node,
            domain=tuple(_domain_node(row, relays) for row in read("explain_domain", **of_domain)),
            policies=tuple(_compiled(row) for row in read("explain_policies", **of_node)),
            bridge=tuple(BridgeRow(*row[1:]) for row in read("explain_bridge", **of_node)),
            entries=tuple(EntryFacts(*row) for row in read("explain_entries", **of_node)),
        )


def _relays(rows: list[Row]) -> dict[str, tuple[Assignment, ...]]:
    found: dict[str, tuple[Assignment, ...]] = {}
    for peer, resource, host_node, enabled, same_domain, host, port in rows:
        earlier = found.get(peer, ())
        served = enabled and same_domain and not any(before.served for before in earlier)
        assignment = Assignment(
            bridge_resource_id=resource,
            host_node_id=host_node,
            enabled=enabled,
            same_domain=same_domain,
            host=host,
            port=port,
            served=served,
        )
        found[peer] = (*earlier, assignment)
    return found


def _domain_node(row: Row, relays: Mapping[str, tuple[Assignment, ...]]) -> DomainNode:
    node_id, name, mesh_ip, key = row
    public_key = None if key is None else bytes(key)
    broken = broken_invariant(PeerRow(UUID(node_id), mesh_ip, public_key))
    return DomainNode(
        id=node_id,
        name=name,
        mesh_ip=mesh_ip,
        public_key=public_key,
        broken=broken,
        assignments=relays.get(node_id, ()),
    )


def _compiled(row: Row) -> CompiledRow:
    policy_id, revision_id, compiled_at = row[0], row[1], row[4]
    payload, fingerprint = bytes(row[2]), bytes(row[3])
    rules, fault = None, None
    try:
        merged = policy(
            [
                RuleSetRow(
                    policy_id=UUID(policy_id),
                    revision_id=UUID(revision_id),
                    rule_payload=payload,
                    fingerprint=fingerprint,
                )
            ]
        )
        rules = len(merged.rules) if merged else 0
    except CorruptLedger as error:
        fault = str(error).rpartition("reason=")[2]
    holds = sha256(payload).digest() == fingerprint
    return CompiledRow(
        policy_id=policy_id,
        revision_id=revision_id,
        compiled_at=compiled_at,
        payload_bytes=len(payload),
        fingerprint_holds=holds,
        rules=rules,
        fault=fault,
    )
