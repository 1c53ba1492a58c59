"""The proof at the end: every picture equals what the ledger says.

The ledger is asked by a statement of its own: neither the service nor what it composes with is
asked whether it was right.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from uuid import UUID

from composer.deadline import Deadline
from db.connections import OneReader
from db.fleet_pictures import LedgerPicture, LedgerPictures
from server.fleet.agents import Agent
from server.fleet.picture import Picture

SECONDS_A_DOMAIN = 60.0


def unequal(agents: Sequence[Agent], dsn: str) -> list[str]:
    """The Nodes whose picture is not the ledger's, each with a reason. Raises ComposerError."""
    pictures = LedgerPictures(OneReader(dsn, "plexsphere-state fleet"))
    found: list[str] = []
    for domain_id in sorted({agent.domain_id for agent in agents}):
        deadline = Deadline.after(SECONDS_A_DOMAIN, time.monotonic)
        ledger = pictures.of_domain(UUID(domain_id), deadline)
        by_id = {one.node_id: one for one in ledger}
        for agent in agents:
            if agent.domain_id == domain_id:
                wanted = by_id.get(agent.node_id)
                reason = _reason(agent.picture, wanted, ledger)
                if reason:
                    found.append(f"{agent.node_id}: {reason}")
    return found


def _reason(
    picture: Picture, wanted: LedgerPicture | None, ledger: Sequence[LedgerPicture]
) -> str | None:
    if wanted is None:
        return "the ledger does not have it"
    different = list(_different(picture, wanted, ledger))
    return f"{', '.join(different)} differ" if different else None


def _different(
    picture: Picture, wanted: LedgerPicture, ledger: Sequence[LedgerPicture]
) -> Iterator[str]:
    held = picture.desired_state
    if held["peers"] != [one.peer for one in ledger if one.peer and one is not wanted]:
        yield "peers"
    if held.get("policy") != wanted.policy:
        yield "policy"
    # What is in a bridge no operation writes, and no simulated Node has one.
    if (held.get("bridge") is not None) != wanted.hosts_a_bridge:
        yield "bridge"
    if held["state"] != wanted.state:
        yield "state"
