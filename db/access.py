"""Nodes that lost a relationship or a credential, known as soon as it is committed."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from typing import Any, NoReturn
from uuid import UUID

import psycopg2

from composer.identity import parse_canonical_uuid
from db.connections import by_any_host
from db.dsn import session_dsn
from db.statements import statement

# A host that disappears without closing is noticed after idle + 3 * interval seconds.
KEEPALIVES = {"keepalives_idle": "5", "keepalives_interval": "2", "keepalives_count": "3"}
RETRY_SECONDS = 1.0
CONNECT_SECONDS = "3"

_log = logging.getLogger("plexsphere.access")


class ReducedAccess:
    """``on_reduced`` gets the id of each Node. ``on_gap`` is called after a time in which Nodes may
    have been missed."""

    def __init__(
        self, dsn: str, on_reduced: Callable[[UUID], None], on_gap: Callable[[], None]
    ) -> None:
        defaults = {"application_name": "plexsphere-state access", **KEEPALIVES}
        self._dsn = session_dsn(dsn, {}, connect_timeout=CONNECT_SECONDS, **defaults)
        self._on_reduced = on_reduced
        self._on_gap = on_gap

    def run(self) -> NoReturn:
        """Listen for ever; for a thread of its own."""
        while True:
            try:
                self._listen()
            except (psycopg2.Error, OSError):  # the pools say that Postgres is away
                time.sleep(RETRY_SECONDS)

    def _listen(self) -> NoReturn:
        connection = by_any_host(self._dsn, psycopg2.connect)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement("access_listen"))
            self._on_gap()
            poll = select.poll()
            poll.register(connection.fileno(), select.POLLIN)
            while True:
                poll.poll()
                self._pass_on(connection)
        finally:
            connection.close()

    def _pass_on(self, connection: Any) -> None:
        connection.poll()
        for notification in connection.notifies:
            node_id = parse_canonical_uuid(notification.payload)
            if node_id is not None:
                self._on_reduced(node_id)
            else:  # any role of the database may notify
                _log.warning("access_notification_ignored")
        connection.notifies.clear()
