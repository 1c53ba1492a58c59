"""Heartbeats a second, beside the floor and beside the naive way (``naive_wsgi``).

Of 64 Nodes in turn, each by its own agent. The naive way checks no token, asks no SpiceDB and
validates nothing: less work, done in a query and a transaction more.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

from server.dev.stack import Stack
from tests.bench import NAIVE
from tests.bench.driver import Source, request_bytes
from tests.bench.rates import Rate, floor, warm
from tests.bodies import JSON, body_now
from tests.client import bearer
from tests.heartbeats import OPERATION, heartbeat_path
from tests.stacks import another_build


def measured(stack: Stack, clients: int, seconds: float) -> Iterator[Rate]:
    yield floor(stack, clients, seconds)
    ours = warm(stack.url, in_turn(stack, stack.url), 200, clients, seconds)
    yield Rate("heartbeat", clients, ours)
    with another_build(stack, "naive", NAIVE, {}) as url:
        naive = warm(url, in_turn(stack, url), 200, clients, seconds)
        yield Rate("naive heartbeat", clients, naive)


def in_turn(stack: Stack, url: str) -> Source:
    """As of now: a moment that is seconds old is in step."""
    nodes = [str(stack.sample.node_id(number)) for number in range(stack.sample.nodes)]
    body = body_now(OPERATION)
    made = [
        request_bytes(
            url, heartbeat_path(node), {**JSON, **bearer(stack.token(f"node:{node}"))}, body
        )
        for node in nodes
    ]
    return cycle(made).__next__
