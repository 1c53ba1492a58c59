"""The proof at the end: every agent pulls once more, and its picture must equal the ledger.

The ledger is read with a statement of the proof's own, so that neither the service nor its composer
is the witness of itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from composer.deadline import Deadline
from db.fleet import ExpectedNode, expected_nodes, fleet_connection
from server.fleet.agents import Agent, Picture
from server.fleet.tally import is_served

SECONDS_A_DOMAIN = 60.0
# Further pulls of an agent that differs: others may write between a pull and the comparison.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Proof:
    """The faults by Node: the difference from the ledger, or the refusal of its last pull."""

    unequal: Mapping[str, str]
    silent: Mapping[str, str]


def prove(
    agents: Sequence[Agent], clients: int, compare: Callable[[Sequence[Agent]], Mapping[str, str]]
) -> Proof:
    """``compare`` is ``unequal`` on a ledger; ``clients`` pulls at once. Raises ComposerError."""
    pending = list(agents)
    for _ in range(1 + ROUNDS):
        silent = _refused(pending, clients)
        wrong = compare([agent for agent in pending if agent.node_id not in silent])
        pending = [agent for agent in pending if agent.node_id in {*silent, *wrong}]
        if not pending:
            break
    return Proof(wrong, silent)


def _refused(agents: Sequence[Agent], clients: int) -> dict[str, str]:
    """Pulls once for each agent; by Node the refusals."""
    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(Agent.pull, agents))
    return {
        agent.node_id: answered.refusal
        for agent, answered in zip(agents, answers, strict=True)
        if not is_served(answered.status)
    }


def unequal(agents: Sequence[Agent], dsn: str) -> dict[str, str]:
    """The differences from the ledger by Node. Raises ComposerError."""
    connection = fleet_connection(dsn)
    found: dict[str, str] = {}
    for domain_id in sorted({agent.domain_id for agent in agents}):
        deadline = Deadline.after(SECONDS_A_DOMAIN, time.monotonic)
        ledger = expected_nodes(connection, UUID(domain_id), deadline)
        by_id = {expected.node_id: expected for expected in ledger}
        for agent in agents:
            if agent.domain_id == domain_id:
                reason = _reason(agent.picture, by_id.get(agent.node_id), ledger)
                if reason:
                    found[agent.node_id] = reason
    return found


def _reason(
    picture: Picture, expected: ExpectedNode | None, ledger: Sequence[ExpectedNode]
) -> str | None:
    if expected is None:
        return "the ledger does not have it"
    different = list(_different(picture, expected, ledger))
    return f"{', '.join(different)} differ" if different else None


def _different(
    picture: Picture, expected: ExpectedNode, ledger: Sequence[ExpectedNode]
) -> Iterator[str]:
    state = picture.desired_state
    peers = [other.peer for other in ledger if other.peer and other is not expected]
    if state["peers"] != peers:
        yield "peers"
    if state.get("policy") != expected.policy:
        yield "policy"
    # No operation writes a bridge, and no simulated Node has one.
    if (state.get("bridge") is not None) != expected.has_bridge:
        yield "bridge"
    # Both blocks come from the same table of the ledger.
    for block in ("state", "reports"):
        if state[block] != expected.state:
            yield block
