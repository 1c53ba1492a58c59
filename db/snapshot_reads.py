"""The statements of a pull, sent to the primary or to a replica; no answer is older than another.

A Node may be answered by a replica that has seen all that this host has answered the Node before,
and all that the caller presents. The data's own statement says what it has seen. A replica that is
behind gets a moment, then the primary answers. The primary is asked to wait where a standby showed
a transaction before it: a standby may be the first to show a commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread
from typing import TypeVar
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable, LedgerBehind, NodeNotFound
from composer.position import LedgerPosition
from db.coalesced_reads import CoalescedReads
from db.connections import ReadSession, Row
from db.pool import Pool
from db.positions import Positions, Promoted, Snapshot, parse_snapshot, server_in
from db.statements import Prepared
from db.timing import Timed, untimed

# A replica that is behind has so long before the primary is asked, and the primary before the
# answer is 503 (seconds).
MOMENT = 0.1
PRIMARY_MOMENT = 1.0
LOOKS_AGAIN = 0.01
# The share of a request that waits for a replica's answer, and how long one that fails, or that is
# no standby any more, is left out.
REPLICA_SECONDS = 0.5
REST_SECONDS = 1.0
# How often the end of the WAL is noted while the ledger changes.
NOTED_EVERY = 0.25

T = TypeVar("T")


class Source:
    """A server, and the statements of pulls that are read together there."""

    def __init__(self, pool: Pool[ReadSession], timed: Timed) -> None:
        self.pool = pool
        self.together = CoalescedReads(pool, timed=timed)

    def row(self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline) -> Row:
        """The one row of a statement. Raises NodeNotFound."""
        found = self.pool.fetch(query, arguments, deadline)
        if not found:
            raise NodeNotFound(f"{query.name}: no row")
        return found[0]


class SnapshotReads:
    """Thread-safe. The last column of each row is ``position``."""

    def __init__(
        self,
        primary: Pool[ReadSession],
        positions: Positions | None = None,
        replica: Pool[ReadSession] | None = None,
        clock: Callable[[], float] = time.monotonic,
        timed: Timed = untimed,
    ) -> None:
        """Without ``positions`` nothing is compared. Raises ValueError for a ``replica`` alone."""
        if replica is not None and positions is None:
            raise ValueError("a replica is compared with positions")
        self._primary = Source(primary, timed)
        self._replica = Source(replica, timed) if replica is not None else None
        self._positions = positions
        self._clock = clock
        self._rests_until = 0.0
        self._noted: tuple[float, Snapshot | None] = (0.0, None)

    def of_node(
        self, node_id: UUID, deadline: Deadline, presented: LedgerPosition | None = None
    ) -> Row:
        """The Node's row of snapshots_for_nodes, without its id. Raises NodeNotFound,
        DatastoreUnavailable, LedgerBehind."""
        return self._qualified(
            node_id=node_id,
            deadline=deadline,
            presented=presented,
            read=lambda source, left: source.together.ask(node_id, left),
        )

    def row(
        self,
        query: Prepared,
        arguments: Mapping[str, object],
        node_id: UUID,
        deadline: Deadline,
        presented: LedgerPosition | None = None,
    ) -> Row:
        """The one row of a statement about the Node. Raises as ``of_node``."""
        return self._qualified(
            node_id=node_id,
            deadline=deadline,
            presented=presented,
            read=lambda source, left: source.row(query, arguments, left),
        )

    def _qualified(
        self,
        node_id: UUID,
        deadline: Deadline,
        presented: LedgerPosition | None,
        read: Callable[[Source, Deadline], Row],
    ) -> Row:
        if self._positions is None:
            return read(self._primary, deadline)
        if self._replica is not None and self._clock() >= self._rests_until:
            row = self._of_replica(
                replica=self._replica,
                positions=self._positions,
                node_id=node_id,
                deadline=deadline,
                presented=presented,
                read=read,
            )
            if row is not None:
                return row
        return self._of_primary(
            positions=self._positions,
            node_id=node_id,
            deadline=deadline,
            presented=presented,
            read=read,
        )

    def _of_replica(
        self,
        replica: Source,
        positions: Positions,
        node_id: UUID,
        deadline: Deadline,
        presented: LedgerPosition | None,
        read: Callable[[Source, Deadline], Row],
    ) -> Row | None:
        """The result of the replica; None where the primary must be asked."""
        moment = Deadline.after(MOMENT, self._clock)
        while True:
            try:
                row = read(replica, deadline.at_most(REPLICA_SECONDS))
                snapshot = parse_snapshot(row[-1])
            except NodeNotFound:  # it may be new, or gone
                return None
            except (ComposerError, Promoted) as error:
                if isinstance(error, Promoted):
                    replica.pool.close()
                self._rest()
                return None
            if snapshot is None or not snapshot.is_standby:
                self._rest()
                return None
            if self._replica_saw_all(
                positions=positions, snapshot=snapshot, node_id=node_id, presented=presented
            ):
                positions.served(node_id, snapshot)
                return row
            if moment.remaining() <= 0:
                return None
            time.sleep(LOOKS_AGAIN)

    def _rest(self) -> None:
        """Send the replica nothing for REST_SECONDS."""
        self._rests_until = self._clock() + REST_SECONDS

    def _replica_saw_all(
        self,
        positions: Positions,
        snapshot: Snapshot,
        node_id: UUID,
        presented: LedgerPosition | None,
    ) -> bool:
        system, timeline, _ = positions.seen
        position = snapshot.position
        return (
            snapshot.is_whole
            and (position.system, position.timeline) == (system, timeline)
            and position.all_before >= positions.of_node(node_id)[1]
            and (presented is None or position.sees(presented))
        )

    def _of_primary(
        self,
        positions: Positions,
        node_id: UUID,
        deadline: Deadline,
        presented: LedgerPosition | None,
        read: Callable[[Source, Deadline], Row],
    ) -> Row:
        moment = deadline.at_most(PRIMARY_MOMENT)
        while True:
            row = read(self._primary, deadline)
            try:
                snapshot = parse_snapshot(row[-1])
            except Promoted:
                self._primary.pool.close()
                raise DatastoreUnavailable("the server was promoted") from None
            if snapshot is None:
                return row
            by_standby, _ = positions.of_node(node_id)
            if (
                snapshot.is_whole
                and snapshot.position.all_before >= by_standby
                and (presented is None or snapshot.position.sees(presented))
            ):
                if self._replica is not None:
                    positions.served(node_id, snapshot)
                self._note(positions, snapshot)
                return row
            if moment.remaining() <= 0:
                raise LedgerBehind(f"node_id={node_id}: {snapshot.position.text}")
            time.sleep(LOOKS_AGAIN)

    def _note(self, positions: Positions, snapshot: Snapshot) -> None:
        """Note the end of the WAL where the ledger has changed, in a thread: the pull has its row,
        and must not wait."""
        noted_at, noted = self._noted
        if noted == snapshot or self._clock() - noted_at < NOTED_EVERY:
            return
        self._noted = (self._clock(), snapshot)
        thread = Thread(target=self._note_now, args=(positions,), name="position", daemon=True)
        with suppress(RuntimeError):  # no more threads: it is noted with another pull
            thread.start()

    def _note_now(self, positions: Positions) -> None:
        """Nothing where Postgres is away by now. Of a server that has lost what was served no
        connection is used again: a new one is refused when it is opened."""
        pool = self._primary.pool
        try:
            with pool.session(Deadline.after(NOTED_EVERY, self._clock)) as session:
                positions.check(lambda: server_in(session))
        except LedgerBehind:
            pool.close()
        except ComposerError:
            pass
