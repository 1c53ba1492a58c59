"""The fleet's Domains and Nodes, registered over HTTP; who asks the same twice finds them again."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

from server.fleet.agents import Agent
from server.fleet.wire import Answered, send

# One /16 a Domain, beside the range of the sample.
RANGES = list(IPv4Network("10.96.0.0/11").subnets(new_prefix=16))
ATTEMPTS = 5


class EnrolmentError(Exception):
    """One sentence that says what was refused, and by which code."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """``name`` tells fleets apart: the same name finds the same Domains and Nodes again."""

    url: str
    operator: str = field(repr=False)
    name: str = "fleet"

    def domain(self, number: int) -> str:
        """The id of the ``number``-th Domain."""
        slug = f"{self.name}-{number}"
        value = {"name": slug, "slug": slug, "mesh_cidr": str(RANGES[number])}
        return str(self._post("/v1/domains", value, slug)["id"])

    def agent(self, domain_id: str, domain: int, number: int, conditional: bool) -> Agent:
        """Registered by a key that only depends on its name, so that it is adopted next time."""
        name = f"{self.name}-{domain}-{number}"
        key = hashlib.sha256(f"simulated key {name}".encode()).digest()
        value = {"public_key": base64.b64encode(key).decode(), "name": name}
        found = self._post(f"/v1/domains/{domain_id}/nodes", value, name)
        return Agent(self.url, str(found["node_id"]), domain_id, str(found["token"]), conditional)

    def _post(self, path: str, value: dict[str, Any], key: str) -> dict[str, Any]:
        """A retry of what met a dependency that was away finds what the first attempt wrote."""
        for _ in range(ATTEMPTS):
            answered = send(self.url, "POST", path, self.operator, value, {"Idempotency-Key": key})
            if answered.status in (200, 201):
                return dict(answered.json)
            if answered.status not in (0, 503):
                break
        raise EnrolmentError(_sentence(path, answered))


def enrol(
    enrolment: Enrolment,
    nodes: int,
    domains: int,
    clients: int,
    conditional: bool,
    progress: Callable[[], None],
) -> list[Agent]:
    """``nodes`` agents over ``domains`` Domains, as even as can be. Raises EnrolmentError."""
    ids = [enrolment.domain(number) for number in range(domains)]

    def one(number: int) -> Agent:
        domain = number % domains
        agent = enrolment.agent(ids[domain], domain, number // domains, conditional)
        progress()
        return agent

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(one, range(nodes)))


def _sentence(path: str, answered: Answered) -> str:
    if answered.status == 0:
        return f"POST {path} was not answered: is the service up?"
    return f"POST {path} was refused with {answered.status} {answered.code}."
