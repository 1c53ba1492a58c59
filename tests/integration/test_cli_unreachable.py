"""A Postgres that accepts connections and does not answer: every command gives up after seconds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from composer.deadline import Deadline
from db import connections
from db.errors import DeadlineExceeded
from server.authz.tuples import TupleReader
from tests.command_runs import NODE, failed, run


@pytest.fixture
def env() -> Iterator[dict[str, str]]:
    """Settings of a Postgres that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield {
            "PLEXSPHERE_DSN": f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x",
            "PLEXSPHERE_SPICEDB_ENDPOINT": "127.0.0.1:1",
            "PLEXSPHERE_SPICEDB_TOKEN": "key",
            "PLEXSPHERE_SPICEDB_INSECURE": "1",
            "PLEXSPHERE_DOMAIN_ID": NODE,
        }


@pytest.mark.parametrize(
    "command",
    [
        "audit",
        "audit prune --older-than 30d",
        "outbox prune --older-than 30d",
        "grant user:a manage platform",
        "relay --once",
        "authz verify",
        "authz repair",
        "evaluator --once",
        "fleet status",
        f"fleet history {NODE}",
        f"credentials rotate {NODE}",
        f"credentials revoke {NODE}",
        f"snapshot {NODE} --explain",
        "backup /dev/shm/never-written.dump",
    ],
)
def test_a_command_waits_two_seconds_for_a_connection(
    command: str, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def give_up(opened: Any, deadline: Deadline) -> None:
        waits.append(deadline.remaining())
        raise DeadlineExceeded("no answer within the deadline")

    monkeypatch.setattr(connections, "wait", give_up)
    # authz reads SpiceDB first.
    monkeypatch.setattr(TupleReader, "all_of_ours", lambda reader, deadline: iter(()))
    sentence = failed(run(*command.split(), **env), 3)
    assert "Postgres cannot be used (no answer within the deadline)" in sentence
    assert len(waits) == 1 and 1.0 < waits[0] <= connections.CONNECT_TIMEOUT


def test_migrate_waits_two_seconds_for_a_connection(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dsns: list[str] = []

    def give_up(dsn: str) -> None:
        dsns.append(dsn)
        raise psycopg2.OperationalError("timeout expired")

    monkeypatch.setattr(psycopg2, "connect", give_up)
    assert "Postgres cannot be used (timeout expired)" in failed(run("migrate", **env), 3)
    assert [psycopg2.extensions.parse_dsn(dsn)["connect_timeout"] for dsn in dsns] == ["2"]


def test_doctor_connects_once_to_a_postgres_that_does_not_answer(
    env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def give_up(opened: Any, deadline: Deadline) -> None:
        waits.append(deadline.remaining())
        raise DeadlineExceeded("no answer within the deadline")

    monkeypatch.setattr(connections, "wait", give_up)
    issuer = {"PLEXSPHERE_JWT_ISSUER": "i", "PLEXSPHERE_JWT_AUDIENCE": "a"}
    result = run("doctor", **env, **issuer, PLEXSPHERE_JWKS="http://127.0.0.1:1/jwks")
    assert "bad  postgres        no answer within the deadline" in result.stdout
    assert len(waits) == 1 and waits[0] <= connections.CONNECT_TIMEOUT
