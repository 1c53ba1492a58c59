"""Snapshots of concurrent pulls, read together: a statement costs little more for five Nodes than
for one, and blocks one thread in place of five.

A Node is never read by a statement that began before it was asked for, and all Nodes of a statement
are of one moment.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable, NodeNotFound
from db.connections import ReadSession, Row, Sessions
from db.statements import Prepared

SNAPSHOTS_FOR_NODES = Prepared("snapshots_for_nodes")
_MOST = 32
# A statement that is under way for longer does not come back (seconds): nobody waits for it.
TROUBLE = 1.0


class _WaitingNode:
    """A Node that waits for a statement. Its turn comes when it is read, or must lead."""

    __slots__ = ("_turn", "deadline", "is_due", "must_read_alone", "node_id", "outcome")

    def __init__(self, node_id: UUID, deadline: Deadline) -> None:
        self.node_id = node_id
        self.deadline = deadline
        self.outcome: Row | ComposerError | None = None
        self.must_read_alone = False
        self.is_due = False
        self._turn = threading.Lock()  # a tenth of what an Event costs
        self._turn.acquire()

    def wait(self, seconds: float) -> bool:
        """Whether its turn has come."""
        return self._turn.acquire(timeout=max(0.0, seconds))

    def wake(self) -> None:
        """Let its turn come; harmless to repeat."""
        if not self.is_due:
            self.is_due = True
            self._turn.release()


class CoalescedReads:
    """At most one statement is under way; Nodes that are asked for meanwhile are the next one's.

    Thread-safe. Without concurrency each Node is a statement of its own at once.
    """

    def __init__(
        self, sessions: Sessions[ReadSession], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self._lock = threading.Lock()
        self._is_reading = False
        self._began = 0.0
        self._waiting: deque[_WaitingNode] = deque()

    def row(self, node_id: UUID, deadline: Deadline) -> Row:
        """The row of snapshots_for_nodes. Raises NodeNotFound, DatastoreUnavailable."""
        with self._lock:
            alone = not self._is_reading
            if alone:
                self._is_reading = True
                self._began = self._clock()
            else:
                self._refuse_in_trouble()
                waiter = _WaitingNode(node_id, deadline)
                self._waiting.append(waiter)
        if alone:
            try:
                return self._read_alone(node_id, deadline)
            finally:
                self._let_next_lead()
        self._wait(waiter)
        if waiter.outcome is None and not waiter.must_read_alone:
            self._lead(waiter)
        if waiter.must_read_alone:
            return self._read_alone(node_id, deadline)
        if isinstance(waiter.outcome, ComposerError):
            raise waiter.outcome
        assert waiter.outcome is not None
        return waiter.outcome

    def _refuse_in_trouble(self) -> None:
        if self._clock() - self._began > TROUBLE:
            raise DatastoreUnavailable("the statement under way does not come back")

    def _wait(self, waiter: _WaitingNode) -> None:
        while not waiter.wait(min(TROUBLE, waiter.deadline.remaining())):
            if waiter.deadline.remaining() <= 0:
                if self._leave(waiter):
                    raise DatastoreUnavailable("no snapshot in time")
            elif self._clock() - self._began > TROUBLE and self._leave(waiter):
                self._refuse_in_trouble()
                raise DatastoreUnavailable("statements took too long")

    def _read(self, node_ids: list[UUID], deadline: Deadline) -> dict[str, Row]:
        arguments = {"node_ids": [str(node_id) for node_id in node_ids]}
        found = self._sessions.fetch(SNAPSHOTS_FOR_NODES, arguments, deadline)
        return {row[0]: row[1:] for row in found}

    def _read_alone(self, node_id: UUID, deadline: Deadline) -> Row:
        row = self._read([node_id], deadline).get(str(node_id))
        if row is None:
            raise NodeNotFound(f"node_id={node_id}")
        return row

    def _let_next_lead(self) -> None:
        with self._lock:
            self._began = self._clock()
            if self._waiting:
                self._waiting[0].wake()
            else:
                self._is_reading = False

    def _leave(self, waiter: _WaitingNode) -> bool:
        """Whether its turn has not come; the Node no longer waits."""
        with self._lock:
            if waiter.is_due:
                return False
            with suppress(ValueError):  # it is in the statement under way
                self._waiting.remove(waiter)
            return True

    def _lead(self, waiter: _WaitingNode) -> None:
        """Read every Node that waits now, this one first."""
        with self._lock:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST))]
        assert batch[0] is waiter
        try:
            rows = self._read([waiting.node_id for waiting in batch], waiter.deadline)
            for waiting in batch:
                node_id = waiting.node_id
                waiting.outcome = rows.get(str(node_id)) or NodeNotFound(f"node_id={node_id}")
        except ComposerError as error:
            # The others may have more time than the one that led.
            is_late = waiter.deadline.remaining() <= 0
            for waiting in batch[: 1 if is_late else len(batch)]:
                waiting.outcome = error
        finally:
            self._let_next_lead()
            for waiting in batch:
                waiting.must_read_alone = waiting.outcome is None
                waiting.wake()
