"""The memory of a host: how much of the ledger it has served, and from which server.

A restored copy or a standby that lags answers as well as the ledger does, only older. The system
identifier, the timeline and the write-ahead log (WAL) show it: Postgres never loses flushed WAL,
not even in a crash, and an older copy has less. Of each Node the numbers of the transactions are
kept that its answers have seen, because an answer of a standby says nothing of WAL.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from mmap import mmap
from pathlib import Path
from uuid import UUID

from psycopg2.extensions import connection

from composer.deadline import Deadline
from composer.errors import LedgerBehind
from composer.position import LedgerPosition
from db.connections import ReadSession, Row, fetch
from db.statements import statement

MAGIC = b"plexpos1"
HEADER = struct.Struct("<8sQQQ")  # the magic, system, timeline, end of the WAL
NODE = struct.Struct("<QQ")
# Nodes that share an entry have what either has seen, which asks for more and never for less.
NODES = 65_536
SIZE = HEADER.size + NODES * NODE.size
MODE = 0o600


class Promoted(Exception):
    """The server was a standby when the connection was opened, and is a primary now."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as one connection found it.

    ``wal_end`` is what a crash leaves of its WAL; ``promoted_at`` the WAL that it had at its
    promotion, None where it began as a primary or was restarted since. ``left_at`` asks it where
    its history left each timeline before, while its connection is open; None where the role may not
    know.
    """

    system: int
    timeline: int
    is_standby: bool
    wal_end: int
    promoted_at: int | None
    left_at: Callable[[], Mapping[int, int] | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The snapshot of a statement. A standby does not list the transactions that it does not see,
    so ``is_whole`` says whether there is none of these."""

    position: LedgerPosition
    is_standby: bool

    @property
    def is_whole(self) -> bool:
        """Whether the position says exactly what the snapshot sees."""
        return not self.is_standby or self.position.all_before == self.position.none_from


AskServer = Callable[[], Server]
CheckServer = Callable[[AskServer], None]


def identify(opened: connection, deadline: Deadline) -> Server:
    """The server of a new connection; its statements can then say it (the column ``position``)."""
    return _identified(
        lambda sql, arguments: fetch(opened=opened, sql=sql, arguments=arguments, deadline=deadline)
    )


def server_in(session: ReadSession) -> Server:
    """The server of a session."""
    return _identified(session.run)


def unchecked(ask: AskServer) -> None:
    """Identify a server, whatever it has."""
    ask()


def _identified(run: Callable[[str, Mapping[str, object] | None], list[Row]]) -> Server:
    row = run(statement("ledger_server"), None)[0]
    system, timeline, is_standby, wal_end, promoted_at, has_history, _ = row

    def left_at() -> Mapping[int, int] | None:
        if not has_history:
            return None
        history = run(statement("ledger_history"), {"timeline": timeline})[0][0]
        return None if history is None else _left_at(history)

    return Server(
        system=int(system) % 2**64,
        timeline=int(timeline),
        is_standby=bool(is_standby),
        wal_end=int(wal_end or 0),
        promoted_at=None if promoted_at is None else int(promoted_at),
        left_at=left_at,
    )


def _left_at(history: str) -> dict[int, int]:
    """Postgres' own file: a line for each timeline, with its number and the end of its WAL."""
    found = {}
    for line in history.splitlines():
        if line.strip() and not line.startswith("#"):
            timeline, wal_end = line.split()[:2]
            high, _, low = wal_end.partition("/")
            found[int(timeline)] = int(high, 16) << 32 | int(low, 16)
    return found


@lru_cache(maxsize=1024)
def parse_snapshot(text: str | None) -> Snapshot | None:
    """The column ``position``.

    None on a connection that was not identified. Raises Promoted.
    """
    if text is None:
        return None
    system, timeline, was_standby, is_standby, numbers = text.split(" ")
    if was_standby != is_standby:
        raise Promoted
    all_before, none_from, _ = numbers.split(":")
    position = LedgerPosition(
        system=int(system) % 2**64,
        timeline=int(timeline),
        all_before=int(all_before),
        none_from=int(none_from),
    )
    return Snapshot(position, is_standby == "on")


class Positions:
    """The memory of this host, for all its processes where there is a file. Thread-safe."""

    @classmethod
    def of_service(cls, file: str) -> Positions:
        """The memory for a process beside the service, which makes no file: the service might not
        be able to open it."""
        return cls(Path(file) if file and Path(file).exists() else None)

    def __init__(self, path: Path | None = None) -> None:
        """Raises OSError where the file cannot be used; one that is no memory is begun anew."""
        self._lock = threading.Lock()
        self._file: int | None = None
        if path is None:
            self._map = mmap(-1, SIZE)
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, MODE)
        try:
            self._map = self._mapped(self._file, path)
        except BaseException:
            os.close(self._file)
            raise

    def _mapped(self, file: int, path: Path) -> mmap:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or os.geteuid() not in (0, facts.st_uid):
            raise PermissionError(f"{path} is not a file of this account alone")
        os.fchmod(file, MODE)
        with self._changing():
            # Read here: another process may have made the file meanwhile, and uses it.
            is_new = os.fstat(file).st_size != SIZE or os.pread(file, 8, 0) != MAGIC
            if is_new:
                os.ftruncate(file, 0)
            # With all its pages: a mapped one that a full disk has no room for kills the process.
            os.posix_fallocate(file, 0, SIZE)
            if is_new:
                os.pwrite(file, HEADER.pack(MAGIC, 0, 0, 0), 0)
        return mmap(file, SIZE)

    @property
    def seen(self) -> tuple[int, int, int]:
        """System, timeline and end of the WAL; zeros where nothing was seen yet."""
        _, system, timeline, wal_end = HEADER.unpack_from(self._map, 0)
        return system, timeline, wal_end

    def check(self, ask: AskServer) -> None:
        """Raise LedgerBehind for a server that has not all that was seen; else see it."""
        server, fault = self.compared(ask)
        if fault:
            raise LedgerBehind(fault)
        if not server.is_standby:  # its timeline may be that of before
            self._see(server, is_accepted=False)

    def compared(self, ask: AskServer) -> tuple[Server, str | None]:
        """The server that is asked, and what it lacks, as a sentence; None where it has all.

        What was seen is read before it is asked, because others see more of it meanwhile.
        """
        with self._changing():  # a number that another process writes may be read in part
            system, timeline, wal_end = self.seen
        server = ask()
        return server, _fault(
            server=server, system=system, timeline=timeline, wal_end=wal_end
        ) if system else None

    def accept(self, server: Server) -> None:
        """Take the server for the ledger, whatever was seen before."""
        self._see(server, is_accepted=True)

    def of_node(self, node_id: UUID) -> tuple[int, int]:
        """Transactions that answers to the Node have seen: by standbys, and by any server."""
        by_standby, by_any = NODE.unpack_from(self._map, _place(node_id))
        return by_standby, by_any

    def served(self, node_id: UUID, snapshot: Snapshot) -> None:
        """An answer to the Node has seen this."""
        number = snapshot.position.none_from
        new = (number if snapshot.is_standby else 0, number)
        before = self.of_node(node_id)
        if new[0] > before[0] or new[1] > before[1]:
            place = _place(node_id)
            with self._changing():
                before = NODE.unpack_from(self._map, place)
                NODE.pack_into(self._map, place, max(new[0], before[0]), max(new[1], before[1]))

    def _see(self, server: Server, is_accepted: bool) -> None:
        with self._changing():
            system, timeline, wal_end = self.seen
            if is_accepted:
                self._map[HEADER.size :] = bytes(SIZE - HEADER.size)
            elif system and (server.timeline, server.wal_end) < (timeline, wal_end):
                return
            HEADER.pack_into(self._map, 0, MAGIC, server.system, server.timeline, server.wal_end)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            if self._file is None:
                yield
                return
            fcntl.lockf(self._file, fcntl.LOCK_EX)  # also between processes of one fork
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)


def _fault(server: Server, system: int, timeline: int, wal_end: int) -> str | None:
    if server.system != system:
        return f"another ledger: system {server.system:x}, and {system:x} was served before"
    if server.timeline < timeline:
        return f"timeline {server.timeline}, and {timeline} was served before"
    has = server.wal_end
    if server.timeline > timeline:  # later WAL is of its own, and not what was served before
        left_at = server.left_at()
        if left_at is not None:
            has = min(has, left_at.get(timeline, 0))
        elif not server.is_standby and server.promoted_at is not None:
            has = server.promoted_at
    if has < wal_end:
        return f"its WAL ends {wal_end - has} bytes before what was served"
    return None


def _place(node_id: UUID) -> int:
    return HEADER.size + node_id.int % NODES * NODE.size
