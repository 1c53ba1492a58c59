"""Whether the ledger answers, and whether it is the one this code knows; for /readyz and doctor."""

from __future__ import annotations

import psycopg2

from composer.deadline import Deadline
from db.errors import is_missing_table
from db.pool import ReadPool
from db.statements import statement


def ping(pool: ReadPool, deadline: Deadline) -> None:
    """Raises DatastoreUnavailable when Postgres does not answer."""
    with pool.connection(deadline) as reading:
        reading.run(statement("ping"))


def schema_version(pool: ReadPool, deadline: Deadline) -> int:
    """The newest migration applied; 0 for a ledger never migrated."""
    with pool.connection(deadline) as reading:
        try:
            return int(reading.run(statement("schema_version"))[0][0])
        except psycopg2.Error as cause:
            if is_missing_table(cause):
                return 0
            raise
