"""GetNodeReachability: the pull's own block."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from composer.reachability import STATES, ZERO_TIME, ReachabilityRow
from handlers import OPERATIONS
from handlers.operation import perform
from handlers.wire import SnapshotBody, json_bytes
from tests.factories import (
    DOMAIN,
    EPOCH,
    addressed,
    agent_of,
    call,
    node_id,
    reachability,
    snapshot,
)
from tests.fakes import FakeNodeRepo, FakeRelationChecker, FakeSnapshotProvider
from tests.node_fakes import FakeReachabilityRepo
from tests.ports.wired import fake_ports

NODE = node_id(1)


@pytest.mark.parametrize("heard", [None, EPOCH.replace(microsecond=250_000)], ids=["never", "once"])
@pytest.mark.parametrize("state", STATES)
def test_the_answer_is_the_block_of_the_pull_byte_for_byte(
    state: str, heard: datetime | None
) -> None:
    shown = snapshot(reachability=reachability(state=state, last_heartbeat_at=heard or ZERO_TIME))
    relations = ("node-agent", "node-view")
    ports = fake_ports(
        relations=FakeRelationChecker(
            {(f"node:{NODE}", relation, f"node:{NODE}") for relation in relations}
        ),
        nodes=FakeNodeRepo({NODE: addressed(1)}),
        reachability=FakeReachabilityRepo({NODE: ReachabilityRow(state, heard, EPOCH)}),
        snapshots=FakeSnapshotProvider({(NODE, DOMAIN): shown}),
    )
    read, pulled = (
        perform(OPERATIONS[name], ports, call(agent_of(1)), {"id": str(NODE)}).body
        for name in ("GetNodeReachability", "GetNodeState")
    )
    assert isinstance(pulled, SnapshotBody)
    block = json.loads(pulled.to_bytes())["reachability"]
    assert json_bytes(read) == json_bytes(block)
