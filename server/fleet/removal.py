"""The end of a simulated fleet: its Nodes deregistered, and its Domains, by who made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from server.fleet.agents import Agent
from server.fleet.enrolment import ATTEMPTS
from server.fleet.wire import NO_ANSWER, send

# What is gone already is as good as removed.
REMOVED = (200, 204, 404)


def remove(
    agents: Sequence[Agent], operator: str, clients: int, progress: Callable[[], None]
) -> list[str]:
    """Everything that ``agents`` are and are in; a sentence for each thing that is left.

    A Domain that has other Nodes too stays.
    """

    def one(agent: Agent) -> str | None:
        left = _delete(agent.url, f"/v1/nodes/{agent.node_id}", operator)
        progress()
        return left

    with ThreadPoolExecutor(clients) as pool:
        nodes = list(pool.map(one, agents))
    urls = {agent.domain_id: agent.url for agent in agents}
    domains = [_delete(url, f"/v1/domains/{id_}", operator) for id_, url in sorted(urls.items())]
    return [sentence for sentence in (*nodes, *domains) if sentence is not None]


def _delete(url: str, path: str, operator: str) -> str | None:
    for _ in range(ATTEMPTS):
        answered = send(url, "DELETE", path, operator)
        if answered.status not in (NO_ANSWER, 503):
            break
    return None if answered.status in REMOVED else f"DELETE {path}: {answered.refusal}"
