"""A limit on the bytes that all connections of a worker have in memory."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from server.gunicorn.connection import Connection

_log = structlog.stdlib.get_logger("plexsphere.connections")


class ByteLimit:
    """Over the limit the slowest clients are closed, so that a quick one is never among them."""

    def __init__(
        self,
        most: int,
        event: str,
        *,
        may_close: Callable[[Connection], bool],
        since: Callable[[Connection], float],
        close: Callable[[Connection], None],
    ) -> None:
        """``event`` is the log line of a full limit. Of those that ``may_close`` allows, the
        connection with the smallest ``since`` is closed first; ``close`` must count it as 0."""
        self._most = most
        self._event = event
        self._may_close = may_close
        self._since = since
        self._close = close
        self._bytes: dict[Connection, int] = {}
        self._sum = 0

    @property
    def is_full(self) -> bool:
        """Whether the connections have more than they may."""
        return self._sum > self._most

    def count(self, connection: Connection, size: int) -> int:
        """Note how many bytes a connection has now; how many it had before."""
        before = self._bytes.pop(connection, 0)
        if size:
            self._bytes[connection] = size
        self._sum += size - before
        if size > before and self.is_full:
            self._close_slowest()
        return before

    def _close_slowest(self) -> None:
        """An eighth more than needed: to look for them costs as much as there are connections."""
        closable = sorted(filter(self._may_close, self._bytes), key=self._since)
        _log.warning(self._event, bytes=self._sum, connections=len(closable))
        for connection in closable:
            if self._sum <= self._most * 7 // 8:
                return
            self._close(connection)
