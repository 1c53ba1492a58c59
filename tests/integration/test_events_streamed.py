"""The law of events at the end of the way: streams that are cut, resumed, repeated and moved."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

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


@settings(
    max_examples=2,
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
