"""The Ledger on Postgres: one statement for each pull, all five row sets from one MVCC moment.

Separate statements would mix moments: in a trial, 5,400 of 9,577 snapshots had rows of two. The
peers are read only when the Domain's ``peers_revision`` differs from that of the rows which this
process already has: 0.1 to 0.35 ms, instead of 14 ms for 10,000 rows every time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from composer.bridge import BridgeRows
from composer.deadline import Deadline
from composer.entries import EntryRow
from composer.errors import CorruptLedger, DatastoreUnavailable, DomainNotFound, NodeNotFound
from composer.memory import Memory
from composer.peers import PeerRow, PeerTable
from composer.policy import RuleSetRow
from composer.position import LedgerPosition
from composer.reachability import ReachabilityRow
from db import rows
from db.connections import ReadSession, Row
from db.pool import Pool
from db.positions import Positions, parse_snapshot
from db.snapshot_reads import SnapshotReads
from db.statements import Prepared
from db.timing import Timed, untimed

SNAPSHOT_FOR_NODE = Prepared("snapshot_for_node")
DOMAIN_PEERS = Prepared("domain_peers")
# Texts of the other row sets whose rows a process keeps, about four times as large.
DECODED_BYTES = 4 * 1024 * 1024
# How often a request looks whether another one has read the peers that it needs: while a Domain
# changes all the time, its own turn comes.
LOOKS = 4
# Of about 200 bytes for each Node that pulls.
KNOWN_DOMAINS_BYTES = 16 * 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PostgresLedgerView:
    """One moment of the ledger, decoded whole; the five sources of the composer."""

    peer_table: PeerTable
    reachability_row: ReachabilityRow
    rule_sets: tuple[RuleSetRow, ...]
    bridge_rows: BridgeRows | None
    entry_rows: tuple[EntryRow, ...]
    position: LedgerPosition | None

    def peers(self) -> PeerTable:
        """PeerSource."""
        return self.peer_table

    def reachability(self) -> ReachabilityRow:
        """ReachabilitySource."""
        return self.reachability_row

    def policies(self) -> tuple[RuleSetRow, ...]:
        """PolicySource."""
        return self.rule_sets

    def bridge(self) -> BridgeRows | None:
        """BridgeSource."""
        return self.bridge_rows

    def entries(self) -> tuple[EntryRow, ...]:
        """EntriesSource."""
        return self.entry_rows


@dataclass(frozen=True, slots=True, eq=False)
class LedgerMoment:
    """The rows that one statement read about a Node, its own rows not decoded yet.

    ``table`` has the peers of the same moment; None where they cannot be decoded, or were not read.
    """

    node_id: UUID
    domain_id: UUID
    authz_token: str | None
    secret_key_digests: tuple[bytes, ...]
    tokens_not_before: datetime | None
    revision: UUID | None
    table: PeerTable | None
    own: Row
    position: LedgerPosition | None


class PostgresLedger:
    """Implements composer.snapshot_composer.Ledger."""

    def __init__(
        self,
        pool: Pool[ReadSession],
        *,
        cached_rows: int,
        prepare: Callable[[PeerTable], object] = lambda table: None,
        timed: Timed = untimed,
        positions: Positions | None = None,
        replica: Pool[ReadSession] | None = None,
    ) -> None:
        """``cached_rows`` is the most peer rows that this process keeps, all Domains together.

        ``prepare`` is called with each new table before any other request gets it, so that what is
        derived from a table is derived once. ``positions`` and ``replica`` as in SnapshotReads.
        """
        self.has_replica = replica is not None
        self._pool = pool
        self._reads = SnapshotReads(pool, positions, replica, timed=timed)
        self._tables = PeerTables(cached_rows)
        self._prepare = prepare
        self._decoded: Memory[Any] = Memory(DECODED_BYTES)
        # Where a Node was last. A wrong answer costs a second statement and nothing else.
        self._domains: Memory[UUID] = Memory(KNOWN_DOMAINS_BYTES)
        self._refreshing = DomainLocks()

    @property
    def cached_rows(self) -> int:
        """The number of peer rows that this process keeps."""
        return self._tables.rows

    def addressed(
        self, node_id: UUID, deadline: Deadline, presented: LedgerPosition | None = None
    ) -> LedgerMoment | None:
        """The Node and all that its snapshot needs in one statement; None where its Domain's peers
        are not cached yet. Raises NodeNotFound, DatastoreUnavailable, LedgerBehind."""
        known = self._domains.get(node_id)
        expected = known or self._tables.newest
        while expected is not None and self._tables.find(expected) is not None:
            moment = self._moment(
                node_id=node_id, domain_id=expected, deadline=deadline, presented=presented
            )
            if moment.domain_id != known:
                self._domains.put(node_id, moment.domain_id, 0)
            if moment.domain_id == expected:
                return moment
            known = expected = moment.domain_id
        return None

    def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> PostgresLedgerView:
        """See ``Ledger``. All of it or an error: nothing is decoded later."""
        moment = self._moment(node_id, domain_id, deadline)
        if moment.domain_id != domain_id:
            raise NodeNotFound(f"node_id={node_id} is not in domain_id={domain_id}")
        self._domains.put(node_id, domain_id, 0)
        return self.view_of(moment)

    def view_of(self, moment: object) -> PostgresLedgerView:
        """See ``Ledger``."""
        assert isinstance(moment, LedgerMoment)
        node_id = moment.node_id
        if moment.table is None:
            raise CorruptLedger(f"node_id={node_id} row_set=peers reason=ValueError")
        reachability, policies, entries, bridge = moment.own
        place = f"node_id={node_id} row_set="
        return PostgresLedgerView(
            peer_table=moment.table,
            reachability_row=rows.decoded(
                f"{place}reachability", rows.reachability_row, reachability
            ),
            rule_sets=rows.decoded(f"{place}policies", self._once, rows.rule_set_rows, policies),
            bridge_rows=rows.decoded(f"{place}bridge", self._once, rows.bridge_rows, bridge),
            entry_rows=rows.decoded(f"{place}entries", self._once, rows.entry_rows, entries),
            position=moment.position,
        )

    def peers(self, domain_id: UUID, deadline: Deadline) -> PeerTable:
        """See ``Ledger``. One request of a Domain reads and decodes them, and the others wait."""
        with self._refreshing.locked(domain_id, deadline):
            cached = self._tables.find(domain_id)
            arguments = {
                "domain_id": str(domain_id),
                "cached_revision": str(cached.table.revision) if cached else None,
            }
            found = self._pool.fetch(DOMAIN_PEERS, arguments, deadline)
            if not found:
                raise DomainNotFound(f"domain_id={domain_id}")
            revision, peers = found[0]
            place = f"domain_id={domain_id} row_set=peers"
            return rows.decoded(place, self._table, domain_id, UUID(revision), peers, cached)

    def _once(self, decode: Callable[[str | None], T], text: str | None) -> T:
        """The same object for the same text: a Node's own rows seldom change between its pulls."""
        if text is None:
            return decode(None)
        key = (decode, text)
        rows: T | None = self._decoded.get(key)
        if rows is None:
            rows = decode(text)
            self._decoded.put(key, rows, len(text))
        return rows

    def _moment(
        self,
        node_id: UUID,
        domain_id: UUID,
        deadline: Deadline,
        presented: LedgerPosition | None = None,
    ) -> LedgerMoment:
        """The moment that one statement saw. ``domain_id`` is where the Node is expected.

        Most statements find that the cached peers are current, and read none. Otherwise one request
        of the Domain reads and decodes them, and the others wait. Peers of another moment than
        their own rows would mix two moments, so whoever saw an earlier revision looks again.
        """
        for _ in range(LOOKS):
            cached = self._tables.find(domain_id)
            found = None
            if cached is not None:
                found = self._read(
                    node_id=node_id, cached=cached, deadline=deadline, presented=presented
                )
                if found.table is not None or found.domain_id != domain_id:
                    return found
            with self._refreshing.locked(domain_id, deadline):
                if self._tables.find(domain_id) is cached:  # nobody was faster
                    return self._read_peers(
                        node_id=node_id, cached=cached, deadline=deadline, presented=presented
                    )
            new = self._tables.find(domain_id)
            if found is not None and new is not None and new.table.revision == found.revision:
                return replace(found, table=new.table)
        with self._refreshing.locked(domain_id, deadline):
            return self._read_peers(
                node_id=node_id,
                cached=self._tables.find(domain_id),
                deadline=deadline,
                presented=presented,
            )

    def _read(
        self,
        node_id: UUID,
        cached: CachedPeers,
        deadline: Deadline,
        presented: LedgerPosition | None,
    ) -> LedgerMoment:
        """Read a moment, without its table where ``cached`` is not current."""
        revision, *own = self._reads.of_node(node_id, deadline, presented)
        seen, table = None, None
        with suppress(*rows.UNDECODABLE):
            seen = _uuid(revision)
            table = cached.table if cached.table.revision == seen else None
        return _moment_of(node_id=node_id, own=own, revision=seen, table=table)

    def _read_peers(
        self,
        node_id: UUID,
        cached: CachedPeers | None,
        deadline: Deadline,
        presented: LedgerPosition | None,
    ) -> LedgerMoment:
        """Read a moment with its peers, unless the cached peers are current."""
        arguments = {
            "node_id": str(node_id),
            "cached_revision": str(cached.table.revision) if cached else None,
        }
        revision, peers, *own = self._reads.row(
            query=SNAPSHOT_FOR_NODE,
            arguments=arguments,
            node_id=node_id,
            deadline=deadline,
            presented=presented,
        )
        seen, table = None, None
        with suppress(*rows.UNDECODABLE):
            seen = UUID(revision)
            table = self._table(domain_id=UUID(own[4]), revision=seen, peers=peers, cached=cached)
        return _moment_of(node_id=node_id, own=own, revision=seen, table=table)

    def _table(
        self, domain_id: UUID, revision: UUID, peers: str | None, cached: CachedPeers | None
    ) -> PeerTable:
        """The peers at a revision that the statement saw; ``peers`` is None where those that are
        cached are current."""
        if peers is None:
            if cached is None or cached.table.revision != revision:
                raise ValueError("no peers were read")
            return cached.table
        text, known = rows.undamaged(peers), cached.lines if cached else {}
        lines = rows.peer_rows(text, known) if text else {}
        new = CachedPeers(PeerTable(domain_id, revision, tuple(lines.values())), lines)
        self._prepare(new.table)
        self._tables.keep(new)
        return new.table


_uuid = lru_cache(4096)(UUID)  # of Domains, and their revisions


def _moment_of(
    node_id: UUID, own: Sequence[Any], revision: UUID | None, table: PeerTable | None
) -> LedgerMoment:
    """``own`` are the values of node_columns."""
    *row_sets, domain_id, token, digests, tokens_not_before, position = own
    snapshot = parse_snapshot(position)
    return LedgerMoment(
        node_id=node_id,
        domain_id=_uuid(domain_id),
        authz_token=token,
        secret_key_digests=tuple(map(bytes, digests)),
        tokens_not_before=tokens_not_before,
        revision=revision,
        table=table,
        own=tuple(row_sets),
        position=None if snapshot is None else snapshot.position,
    )


class DomainLocks:
    """A lock for each Domain that somebody waits for, and none for the others."""

    def __init__(self) -> None:
        self._locks: dict[UUID, tuple[threading.Lock, int]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def locked(self, domain_id: UUID, deadline: Deadline) -> Iterator[None]:
        """Raises DatastoreUnavailable where the lock is not free in time."""
        with self._lock:
            lock, waiting = self._locks.get(domain_id, (threading.Lock(), 0))
            self._locks[domain_id] = lock, waiting + 1
        try:
            if not lock.acquire(timeout=deadline.remaining()):
                raise DatastoreUnavailable(f"domain_id={domain_id}: no peers in time")
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._lock:
                _, waiting = self._locks[domain_id]
                if waiting == 1:
                    del self._locks[domain_id]
                else:
                    self._locks[domain_id] = lock, waiting - 1


@dataclass(frozen=True, slots=True, eq=False)
class CachedPeers:
    """A table, and its rows by the line they came from: the next revision has most lines again."""

    table: PeerTable
    lines: Mapping[str, PeerRow]


class PeerTables:
    """The newest table of each Domain that was read lately, at most ``max_rows`` rows in all.

    The table read last is cached whatever its size. The tables are never a source of truth: each
    statement that uses one has compared its revision with the ledger's.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self.rows = 0
        self._cached: OrderedDict[UUID, CachedPeers] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, domain_id: UUID) -> CachedPeers | None:
        """The table of the Domain, current or not."""
        with self._lock:
            found = self._cached.get(domain_id)
            if found is not None:
                self._cached.move_to_end(domain_id)
            return found

    @property
    def newest(self) -> UUID | None:
        """The Domain whose table was used last: that of the next Node, where there is only one."""
        with self._lock:
            return next(reversed(self._cached), None)

    def keep(self, new: CachedPeers) -> None:
        """Hold ``new`` in place of the table of the same Domain."""
        domain_id = new.table.domain_id
        with self._lock:
            old = self._cached.pop(domain_id, None)
            self._cached[domain_id] = new
            self.rows += len(new.table.rows) - (len(old.table.rows) if old else 0)
            while self.rows > self._max_rows and len(self._cached) > 1:
                _, dropped = self._cached.popitem(last=False)
                self.rows -= len(dropped.table.rows)
