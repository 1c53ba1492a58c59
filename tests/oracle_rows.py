"""The reader of the second implementation: one naive query at a time, and no code of ours."""

import datetime as dt
import uuid
from typing import Any

import psycopg2.extensions

NIL = "00000000-0000-0000-0000-000000000000"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class NoBodyError(Exception):
    """The pull has to fail: the ledger holds what no snapshot may show, or half of."""


class NoSuchNodeError(Exception):
    """The Node is not in the ledger."""


Connection = psycopg2.extensions.connection
Row = tuple[Any, ...]


def timestamp(microseconds: Any) -> str:
    """A fraction of a second without trailing zeros, and absent when it is zero."""
    try:
        when = EPOCH + dt.timedelta(microseconds=int(microseconds))
    except (OverflowError, ValueError) as error:  # infinity, BC, or past the year 9999
        raise NoBodyError(f"no RFC 3339 timestamp: {error}") from None
    seconds = when.replace(microsecond=0, tzinfo=None).isoformat()
    fraction = f"{when.microsecond:06d}".rstrip("0")
    return f"{seconds}.{fraction}Z" if fraction else f"{seconds}Z"


def by_bytes(identifier: str) -> bytes:
    return uuid.UUID(identifier).bytes


def rows_of(connection: Connection, statement: str, *values: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
