"""An older copy of the ledger, as a host finds it that has served a later one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from db.connections import ReadSession, SingleConnection
from db.positions import Positions, server_in
from server.dev.stack import Stack
from tests.client import ask, pull_path
from tests.ports.deadlines import in_time
from tests.role_commands import command

POSITION = "X-Plexsphere-Ledger-Position"


def test_an_older_copy_is_refused_until_it_is_accepted(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "positions"
    with SingleConnection(stack.dsn, ReadSession, application_name="test").session(in_time()) as s:
        server = server_in(s)
    Positions(file).check(lambda: replace(server, wal_end=server.wal_end + 2**40))
    env = {"PLEXSPHERE_POSITION_FILE": str(file)}
    part = stack.extra_gunicorn("older", env)
    try:
        path = pull_path(stack.node_id)
        write = path.replace("/state", "/state/reports/x")
        body = {"method": "PUT", "body": b'{"value": "x"}'}
        for reply in (
            ask(part.url, path, stack.headers),
            ask(part.url, write, {**stack.headers, "Content-Type": "application/json"}, **body),
        ):
            assert (reply.status, reply.code) == (503, "ledger_behind")
        (postgres,) = [
            check
            for check in ask(part.url, "/readyz").json["checks"]
            if check["name"] == "postgres"
        ]
        assert postgres["status"] == "down" and "older" in postgres["detail"]
        doctor = command(stack, "doctor", **env)
        assert "accept-ledger" in doctor.stdout
        for beside in (("relay", "--once"), ("authz", "repair")):
            assert "less than this host has served" in command(stack, *beside, **env).stderr
        assert "bytes before" in command(stack, "accept-ledger", **env).stdout
        reply = ask(part.url, path, stack.headers)
        assert reply.status == 200 and POSITION.lower() in reply.headers
        again = ask(part.url, path, {**stack.headers, POSITION: reply.headers[POSITION.lower()]})
        assert again.status == 200
    finally:
        part.stop()
