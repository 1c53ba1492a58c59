"""The fleet's Domains and Nodes: registered over HTTP, found again by name, and removed."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any
from uuid import UUID

from composer.deadline import Deadline
from db.fleet import fleet_connection, fleet_members
from server.authn.secret_keys import secret_key_text
from server.fleet.agents import Agent
from server.fleet.wire import NO_ANSWER, Answered, send

# A /16 for each Domain, outside the range of the sample.
RANGES = [
    str(range_)
    for wide in ("10.96.0.0/11", "100.64.0.0/10")
    for range_ in IPv4Network(wide).subnets(new_prefix=16)
]
# The range belongs to another Domain; the Domain exists, with another range.
TAKEN = ("mesh_cidr_overlap", "domain_slug_conflict")
ATTEMPTS = 5
# What plexd writes in a secret key; it has no meaning here.
SECRET_KEY_ENV = "plexd"
# 404: it was removed before.
REMOVED = (200, 204, 404)
READ_SECONDS = 60.0


class EnrolmentError(Exception):
    """The message is a sentence with the refused request and the code."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """``name`` tells fleets apart: the same name has the same Domains and Nodes.

    The agents present node secret keys, as plexd does; with ``jwt`` they present tokens.
    """

    url: str
    operator: str = field(repr=False)
    name: str = "fleet"
    jwt: bool = False

    def slug(self, number: int) -> str:
        """Of the Domain with this number; the names of its Nodes begin with it."""
        return f"{self.name}-{number}"

    def domain(self, number: int) -> str:
        """The id of the Domain with this number, on the first range that is free or its own.

        The idempotency key contains the range, because a key with another body is refused.
        """
        slug = self.slug(number)
        for mesh_cidr in RANGES[number:] + RANGES[:number]:
            value = {"name": slug, "slug": slug, "mesh_cidr": mesh_cidr}
            answered = self.send("POST", "/v1/domains", value, f"{slug}@{mesh_cidr}")
            if answered.code not in TAKEN:
                return str(_granted("/v1/domains", answered)["id"])
        raise EnrolmentError(
            f"no range is left for the Domain {slug}: all {len(RANGES)} ranges of simulations "
            "belong to other Domains. Remove an earlier fleet (--name, --remove)."
        )

    def agent(self, domain_id: str, domain: int, number: int, conditional: bool) -> Agent:
        """Registered with a key that depends on its name alone, so that a later run finds it."""
        name = f"{self.slug(domain)}-{number}"
        value = {"public_key": base64.b64encode(simulated_key(name)).decode(), "name": name}
        path = f"/v1/domains/{domain_id}/nodes"
        found = _granted(path, self.send("POST", path, value, name))
        node_id = str(found["node_id"])
        secret = base64.b64decode(found["nsk"])
        own = secret_key_text(UUID(node_id), secret, SECRET_KEY_ENV)
        credential = str(found["token"]) if self.jwt else own
        return Agent(self.url, node_id, domain_id, credential, conditional)

    def send(
        self, method: str, path: str, value: dict[str, Any] | None = None, key: str = ""
    ) -> Answered:
        """As the operator; sent again while a dependency is away, which is safe with a ``key``."""
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
    """``nodes`` agents spread evenly over ``domains`` Domains. Raises EnrolmentError."""
    ids = [enrolment.domain(number) for number in range(domains)]

    def register(number: int) -> Agent:
        domain = number % domains
        agent = enrolment.agent(ids[domain], domain, number // domains, conditional)
        progress()
        return agent

    with ThreadPoolExecutor(clients) as pool:
        try:
            return list(pool.map(register, range(nodes)))
        except BaseException:  # also Ctrl-C: registrations that have not begun are cancelled
            pool.shutdown(cancel_futures=True)
            raise


def simulated_key(name: str) -> bytes:
    """The public key of a simulated Node, from its name; there is no private key."""
    return hashlib.sha256(f"simulated key {name}".encode()).digest()


def _granted(path: str, answered: Answered) -> dict[str, Any]:
    if answered.status in (200, 201):
        return dict(answered.json)
    if answered.status == NO_ANSWER:
        raise EnrolmentError(f"POST {path} was not answered: is the service up?")
    raise EnrolmentError(f"POST {path} was refused with {answered.status} {answered.code}.")


@dataclass(frozen=True, slots=True)
class Members:
    """The ids of a fleet's Nodes and Domains."""

    nodes: Sequence[str]
    domains: Sequence[str]


def members_of(enrolment: Enrolment, dsn: str) -> Members:
    """Everything registered under this name by any run. Raises ComposerError.

    A Node with another key is not of a simulation, whatever its name.
    """
    slugs = [enrolment.slug(number) for number in range(len(RANGES))]
    deadline = Deadline.after(READ_SECONDS, time.monotonic)
    rows = fleet_members(fleet_connection(dsn), slugs, RANGES, deadline)
    nodes = [
        row.node_id
        for row in rows
        if row.node_id and row.name and row.public_key == simulated_key(row.name)
    ]
    return Members(nodes, sorted({row.domain_id for row in rows}))


def remove(
    enrolment: Enrolment, members: Members, clients: int, progress: Callable[[], None]
) -> list[str]:
    """Removes all; a sentence for each Node or Domain left. A Domain with other Nodes stays."""

    def deregister(node_id: str) -> str | None:
        left = _delete(enrolment, f"/v1/nodes/{node_id}")
        progress()
        return left

    with ThreadPoolExecutor(clients) as pool:
        nodes = list(pool.map(deregister, members.nodes))
    domains = [_delete(enrolment, f"/v1/domains/{id_}") for id_ in members.domains]
    return [sentence for sentence in (*nodes, *domains) if sentence is not None]


def _delete(enrolment: Enrolment, path: str) -> str | None:
    answered = enrolment.send("DELETE", path)
    return None if answered.status in REMOVED else f"DELETE {path}: {answered.refusal}"
