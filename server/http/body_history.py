"""The last snapshots that left for each Node, byte for byte, for ``fleet history``."""

from __future__ import annotations

from typing import Protocol

import structlog

from handlers.compression import Pieces
from handlers.operation import GRANTED
from server.http import request_context

_log = structlog.stdlib.get_logger("plexsphere.history")


class BodyHistory(Protocol):
    """Keeps the last bodies that Nodes were served."""

    def keep(self, node: str, digest: str, body: bytes) -> None:
        """Keep the body of a granted 200 about ``node`` (``node:<id>``).

        Returns at once and never raises. The history is bounded in bodies per Node and in bytes.
        A body that is lost is counted and logged.
        """
        ...


def keep_body(history: BodyHistory, body: bytes | Pieces) -> None:
    """Keep the body of a 200 that leaves, if it is a snapshot granted to the Node's own agent.

    Never raises.
    """
    snapshot = request_context.snapshot_of(body)
    for row in request_context.audit_rows():
        is_own_grant = row.outcome == GRANTED and row.subject == row.object
        if is_own_grant and snapshot is not None and row.digest == snapshot.digest:
            try:
                history.keep(row.object, row.digest, snapshot.to_bytes())
            except Exception:
                _log.exception("history_body_lost", correlation_id=row.correlation_id)
