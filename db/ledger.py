"""The Ledger on Postgres: one statement for each pull, all five row sets from one MVCC moment.

Separate statements would mix moments: in a trial, 5,400 of 9,577 snapshots had rows of two. The
peers are read only when the Domain's ``peers_revision`` differs from that of the rows which this
process already has: 0.1 to 0.35 ms, instead of 14 ms for 10,000 rows every time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from composer.bridge import BridgeRows
from composer.deadline import Deadline
from composer.entries import EntryRow
from composer.errors import CorruptLedger, NodeNotFound
from composer.memory import Memory
from composer.peers import PeerRow, PeerTable
from composer.policy import RuleSetRow
from composer.reachability import ReachabilityRow
from db import rows
from db.connections import ReadSession, Sessions
from db.statements import Prepared

SNAPSHOT_FOR_NODE = Prepared("snapshot_for_node")
# Peer rows that a process keeps, about half a kilobyte each.
DEFAULT_HELD_ROWS = 200_000
# Texts of the other row sets whose rows a process keeps, about four times as large.
DECODED_BYTES = 4 * 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PostgresLedgerView:
    """One moment of the ledger, decoded whole; the five sources of the composer."""

    peer_table: PeerTable
    reachability_row: ReachabilityRow
    rule_sets: tuple[RuleSetRow, ...]
    bridge_rows: BridgeRows | None
    entry_rows: tuple[EntryRow, ...]

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


class PostgresLedger:
    """Implements composer.snapshot_composer.Ledger."""

    def __init__(self, pool: Sessions[ReadSession], *, held_rows: int = DEFAULT_HELD_ROWS) -> None:
        """``held_rows`` is the most peer rows that this process keeps, all Domains together."""
        self._pool = pool
        self._tables = PeerTables(held_rows)
        self._decoded: Memory[Any] = Memory(DECODED_BYTES)
        self._decoding = threading.Lock()

    def view(self, node_id: UUID, domain_id: UUID, deadline: Deadline) -> PostgresLedgerView:
        """See ``Ledger``. All of it or an error: nothing is decoded later."""
        held = self._tables.held(domain_id)
        found = self._pool.fetch(
            SNAPSHOT_FOR_NODE,
            {
                "node_id": str(node_id),
                "domain_id": str(domain_id),
                "held_revision": str(held.table.revision) if held else None,
            },
            deadline,
        )
        if not found:
            raise NodeNotFound(f"node_id={node_id} is not in domain_id={domain_id}")
        revision, peers, reachability, policies, entries, bridge = found[0]

        def decoded(row_set: str, decode: Callable[[], T]) -> T:
            try:
                return decode()
            except rows.UNDECODABLE as cause:
                # Not chained: the cause quotes what it could not decode.
                raise CorruptLedger(
                    f"node_id={node_id} row_set={row_set} reason={type(cause).__name__}"
                ) from None

        return PostgresLedgerView(
            decoded("peers", lambda: self._table(domain_id, UUID(revision), peers, held)),
            decoded("reachability", lambda: rows.reachability_row(reachability)),
            decoded("policies", lambda: self._once(rows.rule_set_rows, policies)),
            decoded("bridge", lambda: self._once(rows.bridge_rows, bridge)),
            decoded("entries", lambda: self._once(rows.entry_rows, entries)),
        )

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

    def _table(
        self, domain_id: UUID, revision: UUID, peers: str | None, held: HeldPeers | None
    ) -> PeerTable:
        if peers is None:
            # The statement compared the revision with that of ``held``, whatever is held by now.
            if held is None or held.table.revision != revision:
                raise ValueError("no peers came, and none are held")
            return held.table
        # One thread decodes and the others use its result: after a start or a change every request
        # of a large Domain comes here at once.
        with self._decoding:
            held = self._tables.held(domain_id)
            if held is None or held.table.revision != revision:
                lines = rows.peer_rows(peers, held.lines if held else {})
                held = HeldPeers(PeerTable(domain_id, revision, tuple(lines.values())), lines)
                self._tables.keep(held)
            return held.table


@dataclass(frozen=True, slots=True, eq=False)
class HeldPeers:
    """A table, and its rows by the line they came from: the next revision has most lines again."""

    table: PeerTable
    lines: Mapping[str, PeerRow]


class PeerTables:
    """The newest table of each Domain that was read lately, at most ``max_rows`` rows in all.

    The table read last is held whatever its size. The tables are never a source of truth: each
    statement that uses one has compared its revision with the ledger's.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._rows = 0
        self._held: OrderedDict[UUID, HeldPeers] = OrderedDict()
        self._lock = threading.Lock()

    def held(self, domain_id: UUID) -> HeldPeers | None:
        """The table of the Domain, current or not."""
        with self._lock:
            found = self._held.get(domain_id)
            if found is not None:
                self._held.move_to_end(domain_id)
            return found

    def keep(self, new: HeldPeers) -> None:
        """Hold ``new`` in place of the table of the same Domain."""
        domain_id = new.table.domain_id
        with self._lock:
            old = self._held.pop(domain_id, None)
            self._held[domain_id] = new
            self._rows += len(new.table.rows) - (len(old.table.rows) if old else 0)
            while self._rows > self._max_rows and len(self._held) > 1:
                _, dropped = self._held.popitem(last=False)
                self._rows -= len(dropped.table.rows)
