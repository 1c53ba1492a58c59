"""Whole Domains, for the fleet commands.

What each Node would pull and was last granted; each Node as a statement of another origin expects
it; the Nodes that a simulation has made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from composer.bridge import BridgeRows
from composer.deadline import Deadline
from composer.entries import EntryRow
from composer.errors import DomainNotFound
from composer.peers import PeerTable
from composer.policy import RuleSetRow
from composer.reachability import ReachabilityRow
from db import rows
from db.connections import ReadSession, Row, Sessions, SingleConnection
from db.statements import Prepared

FLEET_OF_DOMAIN = Prepared("fleet_of_domain")
FLEET_MEMBERS = Prepared("fleet_members")
IPV6_NODES_OF = Prepared("ipv6_nodes")
# Nodes that a hint counts.
IPV6_NODES = 1_000
EXPECTED_NODES = Prepared("expected_nodes")
# A digest is of the bytes of the peers: it needs no revision.
NO_REVISION = UUID(int=0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LastPull:
    """A row of ``plexsphere.node_pulls``.

    ``granted_at`` is the last grant of the digest; since ``since`` no other digest was granted.
    """

    digest: str
    granted_at: datetime
    since: datetime


class RuleSets:
    """The numbered rule sets of a Domain, each decoded at its first use."""

    def __init__(self, lines: Sequence[str]) -> None:
        """``lines``: the number SP the line that ``rows.rule_set_line`` reads."""
        self._lines = dict(line.split(" ", 1) for line in lines)
        self._known: dict[str, RuleSetRow] = {}

    def rows(self, text: str | None) -> tuple[RuleSetRow, ...]:
        """``text`` has one line for each rule set: its number, or the rule set itself."""
        return tuple(map(self._rule_set, text.split("\n"))) if text else ()

    def _rule_set(self, line: str) -> RuleSetRow:
        found = self._known.get(line)
        if found is None:
            found = self._known[line] = rows.rule_set_line(self._lines.get(line, line))
        return found


class FleetRow(NamedTuple):
    """The columns of ``fleet_of_domain``; texts are as ``db/rows.py`` reads them."""

    at: datetime
    peer: str | None
    reachability_state: str
    last_heartbeat_at: str | None
    changed_at: str
    policies: str | None
    entries: str | None
    bridge: str | None
    name: str
    created_at: datetime
    digest: str | None
    granted_at: datetime
    since: datetime
    rule_sets: str | None


@dataclass(frozen=True, slots=True)
class FleetNode:
    """One Node; implements handlers.current_digests.NodeSources, which raise CorruptLedger.

    Nothing of ``row`` is decoded before it is needed.
    """

    id: UUID
    row: FleetRow
    rule_sets: RuleSets

    @property
    def keys(self) -> tuple[str | None, ...]:
        """NodeSources."""
        return self.row.policies, self.row.entries, self.row.bridge

    @property
    def name(self) -> str:
        return self.row.name

    @property
    def registered_at(self) -> datetime:
        return self.row.created_at

    @property
    def last_pull(self) -> LastPull | None:
        row = self.row
        return None if row.digest is None else LastPull(row.digest, row.granted_at, row.since)

    @property
    def heartbeat_at(self) -> datetime | None:
        """The last heartbeat; None also where the column is no time (a pull is then a 500)."""
        text = self.row.last_heartbeat_at
        try:
            return None if text is None else rows.moment(text)
        except rows.UNDECODABLE:
            return None

    def reachability(self) -> ReachabilityRow:
        """ReachabilitySource."""
        return self._decoded(
            "reachability",
            rows.reachability_columns,
            self.row.reachability_state,
            self.row.last_heartbeat_at,
            self.row.changed_at,
        )

    def policies(self) -> tuple[RuleSetRow, ...]:
        """PolicySource."""
        return self._decoded("policies", self.rule_sets.rows, self.row.policies)

    def entries(self) -> tuple[EntryRow, ...]:
        """EntriesSource."""
        return self._decoded("entries", rows.entry_rows, self.row.entries)

    def bridge(self) -> BridgeRows | None:
        """BridgeSource."""
        return self._decoded("bridge", rows.bridge_rows, self.row.bridge)

    def _decoded(self, row_set: str, decode: Callable[..., T], *columns: str | None) -> T:
        return rows.decoded(f"node_id={self.id} row_set={row_set}", decode, *columns)


@dataclass(frozen=True, slots=True)
class FleetMoment:
    """A Domain at ``at`` by the ledger's clock; its Nodes are in no order."""

    domain_id: UUID
    at: datetime
    peer_table: PeerTable
    nodes: Sequence[FleetNode]


def fleet_connection(dsn: str) -> SingleConnection[ReadSession]:
    """The connection of a fleet command, which reads seldom: it is not kept between statements."""
    return SingleConnection(
        dsn,
        ReadSession,
        application_name="plexsphere-state fleet",
        parameters={"jit": "off"},
        keep=False,
    )


class PostgresFleet:
    """One statement for a Domain."""

    def __init__(self, sessions: Sessions[ReadSession]) -> None:
        self._sessions = sessions

    def of_domain(self, domain_id: UUID, deadline: Deadline) -> FleetMoment:
        """Raises DomainNotFound, DatastoreUnavailable, and CorruptLedger for peers that cannot be
        decoded. A Node's other columns raise CorruptLedger when they are read."""
        answer = self._sessions.fetch(FLEET_OF_DOMAIN, {"domain_id": str(domain_id)}, deadline)
        found = [FleetRow._make(row) for row in answer]
        if not found:
            raise DomainNotFound(f"domain_id={domain_id}")
        members = [(row.peer, row) for row in found if row.peer is not None]
        text = "\n".join(line for line, _ in members)
        place = f"domain_id={domain_id} row_set=peers"
        peers = rows.decoded(place, rows.peer_rows, text, {}) if members else {}
        table = PeerTable(domain_id, NO_REVISION, tuple(peers.values()))
        lines = [line for row in found if row.rule_sets for line in row.rule_sets.split("\n")]
        rule_sets = RuleSets(lines)
        nodes = [FleetNode(peers[line].node_id, row, rule_sets) for line, row in members]
        return FleetMoment(domain_id=domain_id, at=found[0].at, peer_table=table, nodes=nodes)


@dataclass(frozen=True, slots=True)
class FleetMember:
    """A Node and its Domain; only the Domain's id where a Domain has no Nodes."""

    domain_id: str
    node_id: str | None
    name: str | None
    public_key: bytes | None


def fleet_members(
    sessions: Sessions[ReadSession], slugs: Sequence[str], ranges: Sequence[str], deadline: Deadline
) -> list[FleetMember]:
    """The Nodes of the Domains with these slugs and address ranges, by Domain, then by Node.

    Raises DatastoreUnavailable.
    """
    arguments = {"slugs": list(slugs), "ranges": list(ranges)}
    return [
        FleetMember(
            domain_id=domain_id,
            node_id=node_id,
            name=name,
            public_key=None if key is None else bytes(key),
        )
        for domain_id, node_id, name, key in sessions.fetch(FLEET_MEMBERS, arguments, deadline)
    ]


@dataclass(frozen=True, slots=True)
class Ipv6Nodes:
    """Nodes whose pull has a rule or a peer of IPv6, by id: the first of them."""

    node_ids: Sequence[str]
    are_all: bool

    @property
    def hint(self) -> str:
        """A sentence for an operator; empty where there is no such Node."""
        if not self.node_ids:
            return ""
        more = "" if self.are_all else "at least "
        return (
            f"{more}{len(self.node_ids):,} Node(s) have a rule or a peer of IPv6, which today's "
            f"plexd (IPv4 only) does not apply; the first is {self.node_ids[0]}"
        )


def ipv6_nodes(
    sessions: Sessions[ReadSession], domain_id: UUID | None, deadline: Deadline
) -> Ipv6Nodes:
    """The Nodes of a Domain, or of all, with an IPv6 address. Raises DatastoreUnavailable."""
    arguments = {"domain_id": domain_id and str(domain_id), "most": IPV6_NODES + 1}
    found = [node_id for (node_id,) in sessions.fetch(IPV6_NODES_OF, arguments, deadline)]
    return Ipv6Nodes(found[:IPV6_NODES], are_all=len(found) <= IPV6_NODES)


# Addresses with which a peer is left out of every snapshot.
UNUSABLE = (None, "", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class ExpectedNode:
    """A Node as values of JSON, from a statement that shares nothing with the pull.

    ``peer`` is how other Nodes must be shown it, None where its row is unusable.
    """

    node_id: str
    peer: Mapping[str, Any] | None
    policy: Mapping[str, Any] | None
    has_bridge: bool
    state: Mapping[str, Any]


def expected_nodes(
    sessions: Sessions[ReadSession], domain_id: UUID, deadline: Deadline
) -> list[ExpectedNode]:
    """Every Node of the Domain, by id. Raises DatastoreUnavailable."""
    found = sessions.fetch(EXPECTED_NODES, {"domain_id": str(domain_id)}, deadline)
    return [_expected(row) for row in found]


def _expected(row: Row) -> ExpectedNode:
    node_id, mesh_ip, public_key, fallback, policy, has_bridge, state = row
    peer: dict[str, Any] | None = None
    if mesh_ip not in UNUSABLE and public_key:
        peer = {"node_id": node_id, "mesh_ip": mesh_ip, "public_key": public_key}
        if fallback is not None:
            peer["fallback_endpoint"] = fallback
    wanted = None if policy is None else json.loads(policy)
    return ExpectedNode(
        node_id=node_id, peer=peer, policy=wanted, has_bridge=has_bridge, state=json.loads(state)
    )
