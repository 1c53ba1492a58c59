"""One connection to Postgres, and statements on it that end when their deadline does.

A frozen Postgres (SIGSTOP, a dead switch) answers nothing, and then ``statement_timeout``, TCP
keepalives and ``cancel()`` do not help: only a caller that stops waiting does. So connections are
made in psycopg2's asynchronous mode and this module does the waiting, for the connection itself and
for every statement, against a Deadline. It is the loop a ``set_wait_callback`` would run, but it
belongs to the connection: a COPY elsewhere in the process is not affected.
"""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
from psycopg2.extensions import (
    POLL_OK,
    POLL_READ,
    POLL_WRITE,
    connection,
    make_dsn,
    parse_dsn,
)

from composer.deadline import Deadline
from db.errors import DeadlineExceeded, ledger_errors
from db.statements import Prepared

Row = tuple[Any, ...]

# A host that acknowledges nothing for this long is gone (milliseconds): with several hosts in the
# DSN the next one gets its turn, which connect_timeout alone does not give in asynchronous mode.
NETWORK = {"tcp_user_timeout": "1000"}


def with_defaults(dsn: str, parameters: Mapping[str, str], **defaults: str) -> str:
    """``dsn`` with server parameters set, and libpq options where the DSN does not have them.

    What the DSN says itself wins: its own ``options`` come last. The encoding is always UTF8,
    whatever libpq would read from the environment.
    """
    given = parse_dsn(dsn)
    flags = " ".join(f"-c {name}={value}" for name, value in parameters.items())
    options = f"{flags} {given.get('options', '')}".strip()
    settings = {**NETWORK, **defaults, **given, "options": options, "client_encoding": "UTF8"}
    return str(make_dsn(dsn, **settings))


def connect(dsn: str, deadline: Deadline) -> connection:
    """A connection in autocommit; raises DeadlineExceeded or what psycopg2 raises."""
    opened = psycopg2.connect(dsn, async_=True)
    try:
        wait(opened, deadline)
    except BaseException:
        opened.close()
        raise
    return opened


def fetch(
    opened: connection,
    sql: str,
    arguments: Mapping[str, object] | Sequence[object] | None,
    deadline: Deadline,
) -> list[Row]:
    """All rows of one statement; raises DeadlineExceeded or what psycopg2 raises.

    After any error the connection is of no further use: its state is unknown.
    """
    with opened.cursor() as cursor:
        cursor.execute(sql, arguments)
        wait(opened, deadline)
        return cursor.fetchall() if cursor.description else []


def wait(opened: connection, deadline: Deadline) -> None:
    """Until the connection has finished what it is doing."""
    while True:
        state = opened.poll()
        if state == POLL_OK:
            return
        poller = select.poll()
        if state == POLL_READ:
            poller.register(opened.fileno(), select.POLLIN)
        elif state == POLL_WRITE:
            poller.register(opened.fileno(), select.POLLOUT)
        else:
            raise psycopg2.OperationalError("unexpected state of the connection")
        left = deadline.remaining()
        # Data already there is taken even when the time is just up.
        if not poller.poll(left * 1000) and left <= 0:
            raise DeadlineExceeded("no answer within the deadline")


class OneReader:
    """A read-only connection for somebody who asks once: no pool, and none of its libraries."""

    def __init__(self, dsn: str, application_name: str) -> None:
        self._dsn = with_defaults(
            dsn,
            {"default_transaction_read_only": "on", "jit": "off"},
            application_name=application_name,
        )

    def fetch(
        self, query: Prepared, arguments: Mapping[str, object], deadline: Deadline
    ) -> list[Row]:
        """As ReadPool.fetch, on a connection made and closed here."""
        with ledger_errors(query.name):
            opened = connect(self._dsn, deadline)
            try:
                fetch(opened, query.prepare, None, deadline)
                return fetch(opened, query.execute, arguments, deadline)
            finally:
                opened.close()
