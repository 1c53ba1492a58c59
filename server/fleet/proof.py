"""The proof at the end: every agent pulls once more, and every picture equals the ledger.

The ledger is asked by a statement of its own: neither the service nor what it composes with is
asked whether it was right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from composer.deadline import Deadline
from db.connections import OneReader
from db.fleet_pictures import LedgerPicture, LedgerPictures
from server.fleet.agents import Agent
from server.fleet.picture import Picture
from server.fleet.tally import is_served

SECONDS_A_DOMAIN = 60.0
# How often who is not in order pulls again: others may write between a pull and the comparison.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Proof:
    """By Node, for those that are not proven: what differs, or what its last pull met."""

    unequal: Mapping[str, str]
    silent: Mapping[str, str]


def prove(
    agents: Sequence[Agent], clients: int, compare: Callable[[Sequence[Agent]], Mapping[str, str]]
) -> Proof:
    """``compare`` is ``unequal`` of one ledger; ``clients`` pulls at once. Raises ComposerError."""
    pending = list(agents)
    for _ in range(1 + ROUNDS):
        silent = _refused(pending, clients)
        wrong = compare([agent for agent in pending if agent.node_id not in silent])
        pending = [agent for agent in pending if agent.node_id in {*silent, *wrong}]
        if not pending:
            break
    return Proof(wrong, silent)


def _refused(agents: Sequence[Agent], clients: int) -> dict[str, str]:
    """A pull of each; what those met that got nothing."""
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(Agent.pull, agents))
    return {
        agent.node_id: answered.refusal
        for agent, answered in zip(agents, answers, strict=True)
        if not is_served(answered.status)
    }


def unequal(agents: Sequence[Agent], dsn: str) -> dict[str, str]:
    """The Nodes whose picture is not the ledger's, each with a reason. Raises ComposerError."""
    pictures = LedgerPictures(OneReader(dsn, "plexsphere-state fleet"))
    found: dict[str, str] = {}
    for domain_id in sorted({agent.domain_id for agent in agents}):
        deadline = Deadline.after(SECONDS_A_DOMAIN, time.monotonic)
        ledger = pictures.of_domain(UUID(domain_id), deadline)
        by_id = {one.node_id: one for one in ledger}
        for agent in agents:
            if agent.domain_id == domain_id:
                wanted = by_id.get(agent.node_id)
                reason = _reason(agent.picture, wanted, ledger)
                if reason:
                    found[agent.node_id] = reason
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
    # Both say what the ledger's one table says.
    for block in ("state", "reports"):
        if held[block] != wanted.state:
            yield block
