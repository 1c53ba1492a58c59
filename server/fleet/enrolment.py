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
from server.fleet.wire import NO_ANSWER, Answered, send

# One /16 a Domain, beside the range of the sample.
RANGES = [
    str(range_)
    for wide in ("10.96.0.0/11", "100.64.0.0/10")
    for range_ in IPv4Network(wide).subnets(new_prefix=16)
]
# The range belongs to another Domain; the Domain is there, with another range.
ELSEWHERE = ("mesh_cidr_overlap", "domain_slug_conflict")
ATTEMPTS = 5


class EnrolmentError(Exception):
    """One sentence that says what was refused, and by which code."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """``name`` tells fleets apart: the same name finds the same Domains and Nodes again."""

    url: str
    operator: str = field(repr=False)
    name: str = "fleet"

    def slug(self, number: int) -> str:
        """Of the ``number``-th Domain; also how its Nodes' names begin."""
        return f"{self.name}-{number}"

    def domain(self, number: int) -> str:
        """The id of the ``number``-th Domain, on the first range that is free or its own.

        The key goes with the range, as the same key with another body would be refused.
        """
        slug = self.slug(number)
        for mesh_cidr in RANGES[number:] + RANGES[:number]:
            value = {"name": slug, "slug": slug, "mesh_cidr": mesh_cidr}
            answered = self.ask("POST", "/v1/domains", value, f"{slug}@{mesh_cidr}")
            if answered.code not in ELSEWHERE:
                return str(_granted("/v1/domains", answered)["id"])
        raise EnrolmentError(
            f"no range is left for the Domain {slug}: all {len(RANGES)} of a simulation's own "
            "belong to other Domains. Remove an earlier fleet (--name, --remove)."
        )

    def agent(self, domain_id: str, domain: int, number: int, conditional: bool) -> Agent:
        """Registered by a key that only depends on its name, so that it is adopted next time."""
        name = f"{self.slug(domain)}-{number}"
        value = {"public_key": base64.b64encode(simulated_key(name)).decode(), "name": name}
        path = f"/v1/domains/{domain_id}/nodes"
        found = _granted(path, self.ask("POST", path, value, name))
        return Agent(self.url, str(found["node_id"]), domain_id, str(found["token"]), conditional)

    def ask(
        self, method: str, path: str, value: dict[str, Any] | None = None, key: str = ""
    ) -> Answered:
        """As the operator. A retry of what met a dependency that was away finds what the first
        attempt wrote."""
        headers = {"Idempotency-Key": key} if key else {}
        for _ in range(ATTEMPTS):
            answered = send(self.url, method, path, self.operator, value, headers)
            if answered.status not in (NO_ANSWER, 503):
                break
        return answered


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
        try:
            return list(pool.map(one, range(nodes)))
        except BaseException:  # Ctrl-C among them: what has not begun is let go
            pool.shutdown(cancel_futures=True)
            raise


def simulated_key(name: str) -> bytes:
    """The public key of a simulated Node, by its name; nobody has the private one."""
    return hashlib.sha256(f"simulated key {name}".encode()).digest()


def _granted(path: str, answered: Answered) -> dict[str, Any]:
    if answered.status in (200, 201):
        return dict(answered.json)
    if answered.status == NO_ANSWER:
        raise EnrolmentError(f"POST {path} was not answered: is the service up?")
    raise EnrolmentError(f"POST {path} was refused with {answered.status} {answered.code}.")
