"""Fills a SpiceDB: the schema, and the tuples that the ledger implies."""

import time
from collections.abc import Iterable
from typing import Any

from composer.deadline import Deadline
from server.authz.admin import SpiceDbAdmin
from server.authz.schema import schema_text
from server.authz.writer import RelationTuple, TupleWriter

# For 100,000 Nodes on a busy machine; seconds.
FILL_SECONDS = 120.0


def agents(node_ids: Iterable[str]) -> list[RelationTuple]:
    """`node:<id>#agent@node:<id>` for every Node: each is its own agent."""
    nodes = [f"node:{node_id}" for node_id in node_ids]
    return [RelationTuple(node, "agent", node) for node in nodes]


def fill(channel: Any, node_ids: Iterable[str]) -> None:
    """Through a SpiceDbChannel, or what has its two methods. Raises AuthzUnavailable."""
    deadline = Deadline.after(FILL_SECONDS, time.monotonic)
    SpiceDbAdmin(channel).write_schema(schema_text(), deadline)
    touch_agents(channel, node_ids)


def touch_agents(channel: Any, node_ids: Iterable[str]) -> None:
    """Doing it again is no error. Raises AuthzUnavailable."""
    deadline = Deadline.after(FILL_SECONDS, time.monotonic)
    TupleWriter(channel).touch(agents(node_ids), deadline)
