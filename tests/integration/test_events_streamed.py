"""The law of events at the end of the way: streams that are cut, resumed, repeated and moved."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.factories import DOMAIN, key_bytes
from tests.integration.event_history import NODES
from tests.integration.ledger_rows import Hand
from tests.integration.nats_fixtures import OwnNats
from tests.integration.streamed_world import World, world

pytest_plugins = ("tests.integration.ledger_fixtures", "tests.integration.nats_fixtures")

FAULTS = (
    World.quiet,
    World.cut,
    World.read_again,
    World.repeat_publishing,
    World.repeat_at_the_broker,
    World.replace_worker,
)


# make fuzz asks for many more: each is a history of 13 transactions, with a fault in each.
EXAMPLES = int(os.environ.get("STREAM_EXAMPLES", "2"))

EVERY_TYPE_OF_A_DOMAIN = {
    *("peer_added", "peer_removed", "peer_key_rotated", "peer_endpoint_changed"),
    *("signing_key_rotated", "resync_required"),
}


@pytest.mark.timeout(600)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.permutations([*FAULTS, *FAULTS, None]), st.randoms(use_true_random=False))
def test_whatever_fails_a_node_holds_what_the_pull_shows(
    emptied: Hand,
    nats: OwnNats,
    faults: list[Callable[[World], Iterator[None]] | None],
    chance: random.Random,
) -> None:
    with world(emptied, nats) as made:
        for fault in faults:
            if fault is None:
                nats.part.kill()
                made.write(chance)
                nats.part.start()
            else:
                moments = fault(made)
                next(moments)
                made.write(chance)
                made.settle_relay()
                next(moments, None)
            made.settle()
            assert made.differences() == [], f"after {fault}"


def test_a_node_that_joins_while_the_relay_is_away_sees_no_earlier_event(
    emptied: Hand, nats: OwnNats
) -> None:
    with world(emptied, nats) as made:
        other, relayed = NODES[3], NODES[0]
        nodes = "plexsphere.nodes"
        emptied.run(f"UPDATE {nodes} SET public_key = %s WHERE id = %s", key_bytes(50), relayed)
        emptied.run(f"UPDATE {nodes} SET mesh_ip = '10.42.9.50' WHERE id = %s", relayed)
        emptied.run("DELETE FROM plexsphere.bridge_relays")
        emptied.run(
            f"INSERT INTO {nodes} (id, domain_id, mesh_ip, public_key)"
            " SELECT gen_random_uuid(), %s, '10.43.0.0'::inet + n, sha256(int8send(n))"
            " FROM generate_series(1, 1001) AS n",
            DOMAIN,
        )
        emptied.run(f"DELETE FROM {nodes} WHERE mesh_ip = '10.43.0.1'")
        made.rotate_key()
        late = made.join(NODES[4])
        emptied.node(DOMAIN, 60, id=UUID(other))
        made.settle()
        assert set(made.agents[1].types) >= EVERY_TYPE_OF_A_DOMAIN
        # That of its opening, which is for itself alone.
        assert late.types == ["signing_key_rotated", "peer_added"]
        assert made.differences() == []
