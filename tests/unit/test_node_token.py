"""RenewNodeToken: a token of the Node that asks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from handlers import OPERATIONS
from handlers.operation import perform
from handlers.wire_values import instant
from tests.credential_fakes import FakeNodeCredentials, FakeTokenMint
from tests.factories import EPOCH, addressed, agent_of, call, node_id
from tests.fakes import FakeNodeRepo, FakeRelationChecker
from tests.ports.in_process import FakeService
from tests.ports.wired import fake_ports

NODE = node_id(1)


def test_an_agent_gets_a_token_of_its_node_and_the_moment_it_expires() -> None:
    mint = FakeTokenMint()
    ports = fake_ports(
        relations=FakeRelationChecker({(f"node:{NODE}", "node-agent", f"node:{NODE}")}),
        nodes=FakeNodeRepo({NODE: addressed(1)}),
        credentials=FakeNodeCredentials({NODE: ()}),
        mint=mint,
    )
    answer = perform(OPERATIONS["RenewNodeToken"], ports, call(agent_of(1)), {"id": str(NODE)})
    assert (answer.status, answer.body) == (
        200,
        {"token": "fake.token.0", "expires_at": instant(EPOCH + timedelta(hours=24))},
    )
    assert mint.minted["fake.token.0"][0] == NODE


@pytest.mark.parametrize("body", [b"", b"{}", b"not json", b"x" * 1000])
def test_a_body_means_nothing(body: bytes) -> None:
    answer = FakeService().ask(f"/v1/nodes/{NODE}/token", who=1, method="POST", data=body)
    assert answer.status_code == 200
