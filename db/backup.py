"""One moment of the ledger, which pg_dump and statements of ours read alike."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from composer.deadline import Deadline
from db.connections import ReadSession, Sessions, SingleConnection, blocking_connection
from db.statements import statement

BEGIN_SECONDS = 10.0


@contextmanager
def exported_moment(dsn: str) -> Iterator[tuple[SingleConnection[ReadSession], str]]:
    """A connection whose statements all read this moment, and the moment's name for
    ``pg_dump --snapshot``. Raises DatastoreUnavailable."""
    connection = SingleConnection(
        dsn,
        ReadSession,
        application_name="plexsphere-state backup",
        parameters={"jit": "off", "idle_in_transaction_session_timeout": "0"},
    )
    try:
        deadline = Deadline.after(BEGIN_SECONDS, time.monotonic)
        yield connection, connection.run("moment_begin", {}, deadline)[0][0]
    finally:
        connection.close()


def domain_ids(sessions: Sessions[ReadSession], deadline: Deadline) -> list[UUID]:
    """Every Domain, by id. Raises DatastoreUnavailable."""
    with sessions.session(deadline) as session:
        return [UUID(domain_id) for (domain_id,) in session.run(statement("domain_ids"))]


def make_schema(dsn: str) -> None:
    """The schema without a table, for pg_restore. Raises DatastoreUnavailable."""
    with blocking_connection(dsn, "making the schema") as opened, opened, opened.cursor() as cursor:
        cursor.execute(statement("make_schema"))
