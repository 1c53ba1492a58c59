"""The end of a simulated fleet: its Nodes deregistered, and its Domains, by who made them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from composer.deadline import Deadline
from db.connections import OneReader
from db.fleet_members import fleet_members
from server.fleet.enrolment import RANGES, Enrolment, simulated_key

# What is gone already is as good as removed.
REMOVED = (200, 204, 404)
READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Members:
    """By id."""

    nodes: Sequence[str]
    domains: Sequence[str]


def members_of(enrolment: Enrolment, dsn: str) -> Members:
    """All that was ever registered under this name and is there. Raises ComposerError.

    A Node with a key of its own is somebody else's, whatever it is called.
    """
    reader = OneReader(dsn, "plexsphere-state fleet")
    slugs = [enrolment.slug(number) for number in range(len(RANGES))]
    deadline = Deadline.after(READ_SECONDS, time.monotonic)
    found = fleet_members(reader, slugs, RANGES, deadline)
    nodes = [
        one.node_id
        for one in found
        if one.node_id and one.name and one.public_key == simulated_key(one.name)
    ]
    return Members(nodes, sorted({one.domain_id for one in found}))


def remove(
    enrolment: Enrolment, members: Members, clients: int, progress: Callable[[], None]
) -> list[str]:
    """All of them; a sentence for each thing that is left. A Domain that has other Nodes stays."""

    def one(node_id: str) -> str | None:
        left = _delete(enrolment, f"/v1/nodes/{node_id}")
        progress()
        return left

    with ThreadPoolExecutor(clients) as pool:
        nodes = list(pool.map(one, members.nodes))
    domains = [_delete(enrolment, f"/v1/domains/{id_}") for id_ in members.domains]
    return [sentence for sentence in (*nodes, *domains) if sentence is not None]


def _delete(enrolment: Enrolment, path: str) -> str | None:
    answered = enrolment.ask("DELETE", path)
    return None if answered.status in REMOVED else f"DELETE {path}: {answered.refusal}"
