"""The threads of a process, and how many of them may wait for each dependency.

The places sum up to the threads, so that no dependency that hangs keeps a thread from another.
"""

from __future__ import annotations

from dataclasses import dataclass

# /livez, /readyz, and what is asked for beside the operations on the ledger, such as /metrics.
RESERVED = 3
# The registry's writers, the outbox and the heartbeats have a pool of one size each.
WRITERS = 3
LEAST_THREADS = 8
# Threads of pulls: one works while another waits for SpiceDB and Postgres, and the third takes no
# pull of a crowd. More of them would only split what can be asked together.
PULLS = 3
# Connections to Postgres that have no thread of a request: scrapes, audit rows, lost access.
BESIDE = 3


@dataclass(frozen=True, slots=True)
class Threads:
    """``read``, ``write`` and ``spicedb`` are places: connections of a pool, calls at once."""

    read: int
    write: int
    spicedb: int
    total: int

    @property
    def needed(self) -> int:
        """Threads that all places together take."""
        return RESERVED + self.read + WRITERS * self.write + self.spicedb

    @property
    def connections(self) -> int:
        """The most connections of a process to Postgres."""
        return self.read + WRITERS * self.write + BESIDE

    @property
    def heartbeats(self) -> int:
        """Threads of their own; each has a place to write."""
        return self.write

    @property
    def pulls(self) -> int:
        """Threads of their own; each answers many pulls at once."""
        return min(PULLS, (self.total - RESERVED - self.heartbeats) // 2)

    @property
    def requests(self) -> int:
        """Threads of the other operations on the ledger."""
        return self.total - RESERVED - self.heartbeats - self.pulls


def shared_out(total: int, read: int, write: int, spicedb: int) -> Threads:
    """``total`` threads; a place that is 0 gets its share of what the others leave, at least 1."""
    rest = total - RESERVED
    write = write or max(1, min(rest // 7, (rest - (read or 1) - (spicedb or 1)) // WRITERS))
    spicedb = spicedb or max(1, min(2 * rest // 7, rest - WRITERS * write - (read or 1)))
    read = read or max(1, rest - WRITERS * write - spicedb)
    return Threads(read=read, write=write, spicedb=spicedb, total=total)
