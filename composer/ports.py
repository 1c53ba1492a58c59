"""The seams of the pull, as the code that calls them sees them.

Each docstring is what a caller may rely on; one port-conformance suite per port holds the fake and
the real adapter to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from composer.bridge import BridgeRows
from composer.deadline import Deadline
from composer.domain import Domain
from composer.entries import EntryRow
from composer.identity import AddressedDomain, AddressedNode, Principal
from composer.peers import PeerRow
from composer.policy import RuleSetRow
from composer.reachability import ReachabilityRow
from composer.snapshot import NodeStateSnapshot


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PeerTable:
    """Every row of a Domain at one revision, the Addressed Node's and corrupt ones included.

    While the ledger's revision stays the same, a source may hand out the very same object again.
    """

    domain_id: UUID
    revision: UUID
    rows: tuple[PeerRow, ...]


class PeerSource(Protocol):
    """The Domain's Nodes. MUST NOT drop a row: invariants are the composer's."""

    def peers(self) -> PeerTable: ...


class ReachabilitySource(Protocol):
    """The Addressed Node's liveness columns."""

    def reachability(self) -> ReachabilityRow: ...


class PolicySource(Protocol):
    """The Addressed Node's compiled rule sets, one row a Policy, in any order."""

    def policies(self) -> Sequence[RuleSetRow]: ...


class BridgeSource(Protocol):
    """The aggregate sets and relay assignments; None when the Node hosts no bridge Resource."""

    def bridge(self) -> BridgeRows | None: ...


class EntriesSource(Protocol):
    """The Addressed Node's entries of every kind, in any order."""

    def entries(self) -> Sequence[EntryRow]: ...


class LedgerView(
    PeerSource, ReachabilitySource, PolicySource, BridgeSource, EntriesSource, Protocol
):
    """All five row sets, read in one statement: they are of one moment of the ledger."""


class Ledger(Protocol):
    """Opens views."""

    def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> LedgerView:
        """One round trip.

        Raises NodeNotFound when the Node is not (or no longer) in that Domain, DatastoreUnavailable
        when Postgres does not answer in time, CorruptLedger for rows that cannot be decoded.
        """
        ...


class DropReporter(Protocol):
    """Told of every dropped row, once per composed snapshot."""

    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None: ...


class SnapshotProvider(Protocol):
    """Gate 4: composes the envelope."""

    def snapshot_for_node(
        self, node_id: UUID, domain_id: UUID, deadline: Deadline
    ) -> NodeStateSnapshot:
        """The whole snapshot or an error, never a part. Raises what ``Ledger.view`` raises."""
        ...


class RelationChecker(Protocol):
    """Gate 2: ReBAC.

    ``relation`` is the wire's spelling (``node-agent``), ``resource`` is ``node:<uuid>``,
    ``domain:<uuid>`` or the platform. All methods answer True only for a clear *has permission* and
    raise AuthzUnavailable when SpiceDB is unreachable, too slow or refuses to decide; nothing else
    is raised.
    """

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        """Decide at the store's own pace (``minimize_latency``); a *no* is confirmed once fully
        consistent, at most once a second per subject and resource."""
        ...

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        """Decide at or after ``token``; free once this process has said yes there."""
        ...

    def decided_at(self, principal: Principal, relation: str, resource: str) -> str | None:
        """The token of the last ``check_at_least`` that was a yes; None where there was none, or it
        is forgotten. Asks nobody."""
        ...

    def check_now(
        self, principal: Principal, relation: str, resource: str, deadline: Deadline
    ) -> bool:
        """Decide by everything written so far (``fully_consistent``); for rare questions."""
        ...


class NodeRepo(Protocol):
    """Gate 3: the lookup that also yields the Domain."""

    def get_by_id(self, node_id: UUID, deadline: Deadline) -> AddressedNode:
        """Raises NodeNotFound, DatastoreUnavailable."""
        ...


class DomainRepo(Protocol):
    """Gate 3 of the operations on a Domain."""

    def get_by_id(self, domain_id: UUID, deadline: Deadline) -> AddressedDomain:
        """Raises DomainNotFound, DatastoreUnavailable."""
        ...


class DomainReader(Protocol):
    """A Domain's row."""

    def read(self, domain_id: UUID, deadline: Deadline) -> Domain:
        """Raises DomainNotFound, DatastoreUnavailable."""
        ...


class OutboxRelay(Protocol):
    """Brings the relationships of ``plexsphere.outbox`` to SpiceDB.

    Any number of relays and requests may settle at once. What was brought already may be brought
    again: every operation of a row is idempotent.
    """

    def settle(self, object: str, deadline: Deadline) -> None:
        """When this returns, SpiceDB has taken every row about ``object`` (``node:<id>``,
        ``domain:<id>``) that was committed before the call, in the order of their ``seq``, and the
        object's own row, where there still is one, carries the ZedToken of that.

        Nothing waiting is no error, nor is an object that was never there. Raises AuthzUnavailable
        when SpiceDB is unreachable or too slow, DatastoreUnavailable when Postgres is; what was
        not taken then goes on waiting, for the next call or for a relay process.
        """
        ...


@dataclass(frozen=True, slots=True)
class NodeToken:
    """A node-agent JWT and the moment, in UTC, from which it is refused.

    ``token`` is a credential: no log, metric or audit row shows it, nor does the ``repr``.
    """

    token: str = field(repr=False)
    expires_at: datetime


class TokenMint(Protocol):
    """Makes node-agent JWTs. It exists only where the service has a signing key of its own."""

    def mint(self, node_id: UUID) -> NodeToken:
        """A token of the Principal ``node:<id>``, good from now on and for 24 hours.

        No two are equal. The service that minted it accepts it at once; whether the Node may do
        anything is gate 2's to say. Raises SigningUnavailable when there is no key to sign with
        any more.
        """
        ...


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One outcome of the gates (docs/design.md, Gates).

    ``digest`` is the desired-state digest that was served (hex), on ``granted`` only. ``is_done``:
    the ledger has changed, so the row stands whatever answer leaves. The sink stamps the time.
    """

    relation: str
    outcome: str
    subject: str
    object: str
    correlation_id: str
    digest: str | None = None
    is_done: bool = False


class AuditSink(Protocol):
    """``record`` returns at once and never raises; what is lost is counted and logged."""

    def record(self, row: AuditRow) -> None: ...


class SilentAudit:
    """The nil sink: no rows, no error, no 501, because the audit is no load-bearing port."""

    def record(self, row: AuditRow) -> None:
        """Forget ``row``."""
