"""The last bodies of each Node, for ``fleet history``: exactly what left, and nothing else."""

from __future__ import annotations

from typing import Protocol

import structlog

from handlers.operation import GRANTED
from server.http import request_context

_log = structlog.stdlib.get_logger("plexsphere.history")


class BodyHistory(Protocol):
    """The last bodies that Nodes were served.

    ``keep`` returns at once and never raises; ``body`` is what left in a granted 200 about ``node``
    (``node:<id>``). Bounded in bodies a Node and in bytes; what is lost is counted and logged.
    """

    def keep(self, node: str, digest: str, body: bytes) -> None: ...


def keep_served(history: BodyHistory, body: bytes) -> None:
    """Keep the body of a 200 that leaves, where it is the snapshot a Node's own agent was granted.

    A 304 has no body, a refused or withheld answer another one. Never raises.
    """
    snapshot = request_context.kept_snapshot(body)
    for row in request_context.held_audit():
        own = row.outcome == GRANTED and row.subject == row.object
        if own and snapshot is not None and row.digest == snapshot.digest:
            try:
                history.keep(row.object, row.digest, body)
            except Exception:
                _log.exception("history_body_lost", correlation_id=row.correlation_id)
