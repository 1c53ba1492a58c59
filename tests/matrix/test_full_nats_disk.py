"""A disk that is full under NATS: events wait in the ledger, and nothing else waits.

Part of `make matrix`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests.bodies import JSON
from tests.client import ask, bearer, pull_path
from tests.event_client import held_stream
from tests.role_commands import change_role
from tests.small_disk import empty, fill, small_disk
from tests.stacks import FOLDER, made_anew_next_time, running_stack

BYTES = 8 * 1024 * 1024
NAME = "nats-disk"
LARGE = 4_000  # characters of a value, so that the first of them has no room
LAST = 30
KEY = "number"


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    folder = FOLDER / NAME / "nats" / "store"
    with small_disk(folder, BYTES):
        yield folder


@pytest.fixture(scope="module")
def stack(disk: Path) -> Iterator[Stack]:
    with running_stack(NAME, nodes=8, workers=1, nats=True, relay=True) as running:
        made_anew_next_time(running)
        yield running


def write(stack: Stack, number: int) -> None:
    """An entry of the Node, acknowledged; a pull shows it."""
    value = f"{number} ".ljust(LARGE, "x")
    path = f"/v1/nodes/{stack.node_id}/state/metadata/{KEY}"
    headers = {**bearer(stack.token(OPERATOR)), **JSON}
    reply = ask(stack.url, path, headers, "PUT", json.dumps({"value": value}).encode())
    assert reply.status < 300, reply.body
    pulled = ask(stack.url, pull_path(stack.node_id), bearer(stack.token()))
    assert pulled.status == 200 and value in pulled.body.decode()


def test_events_wait_for_room_and_nothing_else_does(stack: Stack, disk: Path) -> None:
    pids = {name: stack.parts[name].pid for name in ("nats", "relay", "gunicorn")}
    with held_stream(stack.url, stack.node_id, bearer(stack.token())) as stream:
        stream.opening()
        write(stack, 0)
        stream.event("node_state_updated")
        fill(disk)
        for number in range(1, LAST + 1):
            write(stack, number)
        service = "service:granted-while-full"
        for word, status in (("grant", 200), ("revoke", 403)):
            changed = change_role(stack, word, service, "node-agent", f"node:{stack.node_id}")
            assert changed.exit_code == 0, changed.output
            reply = ask(stack.url, pull_path(stack.node_id), bearer(stack.token(service)))
            assert reply.status == status
        assert pids == {name: stack.parts[name].pid for name in pids}
        empty(disk)
        # It writes nothing more to a stream that had no room, until it is started again.
        stack.parts["nats"].restart()
        seen: list[int] = []
        while len(seen) < LAST:
            shown = json.loads(stream.event("node_state_updated").data)["payload"]["metadata"]
            seen += [int(entry["value"].split()[0]) for entry in shown if entry["key"] == KEY]
    assert seen == list(range(1, LAST + 1))
