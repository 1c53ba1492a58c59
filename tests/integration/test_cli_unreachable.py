"""Servers that accept connections and do not answer: every command names them at once."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli import contact
from tests.command_runs import NODE, failed, run

SPICEDB = {"PLEXSPHERE_SPICEDB_TOKEN": "key", "PLEXSPHERE_SPICEDB_INSECURE": "1"}


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that never answers, for which nothing waits."""
    monkeypatch.setattr(contact, "SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def env(silent: str, tmp_path: Path) -> dict[str, str]:
    """Settings of a Postgres and a SpiceDB that never answer."""
    return {
        **SPICEDB,
        "PLEXSPHERE_DSN": f"postgresql://x@{silent}/x",
        "PLEXSPHERE_SPICEDB_ENDPOINT": silent,
        "PLEXSPHERE_DOMAIN_ID": NODE,
        "PLEXSPHERE_EVENT_KEK": f"{'A' * 43}=",
        "PLEXSPHERE_POSITION_FILE": str(tmp_path / "position"),
    }


@pytest.mark.parametrize(
    "command",
    [
        "migrate",
        "init --manager user:a",
        "accept-ledger",
        "audit",
        "audit prune --older-than 30d",
        "outbox prune --older-than 30d",
        "grant user:a manage platform",
        "relay --once",
        "authz verify",
        "authz repair",
        "evaluator --once",
        "events lag",
        "events re-encrypt",
        "events rotate-key",
        "fleet status",
        f"fleet history {NODE}",
        f"credentials rotate {NODE}",
        f"credentials revoke {NODE}",
        f"snapshot {NODE} --explain",
        "backup /dev/shm/never-written.dump",
    ],
)
def test_a_silent_postgres_is_named_at_the_first_contact(command: str, env: dict[str, str]) -> None:
    sentence = failed(run(*command.split(), **env), 3)
    assert "Postgres cannot be used (no answer within 0 s)" in sentence


def test_a_silent_spicedb_is_named_at_the_first_contact(env: dict[str, str]) -> None:
    sentence = failed(run("authz", "schema", **env), 3)
    assert "SpiceDB cannot be used (no answer within 0 s)" in sentence


def test_doctor_waits_for_all_that_are_silent_at_once(env: dict[str, str]) -> None:
    found = run(
        "doctor",
        "--json",
        **env,
        PLEXSPHERE_JWT_ISSUER="i",
        PLEXSPHERE_JWT_AUDIENCE="a",
        PLEXSPHERE_JWKS=f"http://{env['PLEXSPHERE_SPICEDB_ENDPOINT']}/jwks",
        PLEXSPHERE_BIND=env["PLEXSPHERE_SPICEDB_ENDPOINT"],
        PLEXSPHERE_NATS_URL=f"nats://{env['PLEXSPHERE_SPICEDB_ENDPOINT']}",
    )
    checks = {check["name"]: check["detail"] for check in json.loads(found.stdout)["checks"]}
    for name in ("postgres", "spicedb", "jwks", "service"):
        assert checks[name] == "no answer within 0 s"
    # Its own time is over as soon as that of all.
    assert checks["nats"] in ("no answer within 0 s", "NATS: no answer in time")
