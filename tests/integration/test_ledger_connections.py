"""A connection of a worker's or a command's own: opened when needed, ended by any error."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest

from composer.errors import ComposerError, DatastoreUnavailable
from db.connections import ReadSession, Session, SingleConnection, WriteSession
from db.statements import Prepared
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

NODE_BY_ID = Prepared("node_by_id")
NO_NODE = {"node_id": "0190b2c5-0000-7000-8000-000000000001"}


def single(
    dsn: str, access: type[Session] = ReadSession, keep: bool = True
) -> SingleConnection[Session]:
    return SingleConnection(dsn, access, application_name="single", keep=keep)


def backend(connection: SingleConnection[Session]) -> int:
    """The server process behind the connection."""
    with connection.session(in_time()) as session:
        return int(session.run("SELECT pg_backend_pid()")[0][0])


@pytest.mark.parametrize(("keep", "backends"), [(True, 1), (False, 3)], ids=["kept", "not kept"])
def test_it_is_kept_for_the_next_session_or_closed(
    ledger_dsn: str, keep: bool, backends: int
) -> None:
    with closing(single(ledger_dsn, keep=keep)) as connection:
        assert len({backend(connection) for _ in range(3)}) == backends


def test_after_an_error_the_next_session_has_another_one(ledger_dsn: str) -> None:
    with closing(single(ledger_dsn)) as connection:
        before = backend(connection)
        with pytest.raises(ComposerError), connection.session(in_time()) as session:
            session.run("SELECT 1 / 0")
        assert backend(connection) != before


def test_a_statement_is_prepared_again_on_another_one(ledger_dsn: str) -> None:
    with closing(single(ledger_dsn)) as connection:
        assert connection.fetch(NODE_BY_ID, NO_NODE, in_time()) == []
        connection.close()
        assert connection.fetch(NODE_BY_ID, NO_NODE, in_time()) == []


def test_what_answers_as_no_postgres_does_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(b"E\xff\xfe\xfd\xfc\xfb no text\x00")

        threading.Thread(target=answer, daemon=True).start()
        port = server.getsockname()[1]
        dsn = f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable"
        with closing(single(dsn)) as connection, pytest.raises(DatastoreUnavailable):
            backend(connection)


@pytest.mark.parametrize("access", [ReadSession, WriteSession])
def test_the_type_of_its_sessions_decides_whether_it_may_write(
    ledger_dsn: str, access: type[Session]
) -> None:
    refused = ""
    with closing(single(ledger_dsn, access)) as connection:
        try:
            with connection.session(in_time()) as session:
                session.run("DELETE FROM plexsphere.nodes WHERE false")
        except ComposerError as error:
            refused = str(error)
    assert ("sqlstate=25006" in refused) == (access is ReadSession)
