"""The fleet's Domains and Nodes: enrolled over HTTP, found again by name, and removed."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Network
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from composer.deadline import Deadline
from db.connections import command_connections
from db.credentials import PostgresNodeCredentials
from db.fleet import FleetMember, fleet_connection, fleet_members
from server.authn.secret_keys import RandomSecretKeys, secret_key_text
from server.cli.operators import operator_write
from server.fleet.agents import Agent
from server.fleet.wire import NO_ANSWER, AgentAnswer, send

# A /16 for each Domain, outside the range of the sample.
RANGES = [
    str(range_)
    for wide in ("10.96.0.0/11", "100.64.0.0/10")
    for range_ in IPv4Network(wide).subnets(new_prefix=16)
]
# The range belongs to another Domain; the Domain exists, with another range.
TAKEN = ("mesh_cidr_overlap", "domain_slug_conflict")
ATTEMPTS = 5
# Seconds between attempts to delete: SpiceDB gets the relationships of a new Node a moment later.
PAUSES = (0.5, 1.0, 2.0)
# A request that meets a limit is sent again for so long (seconds), as an agent does.
LIMITED_SECONDS = 300.0
PROJECT = str(uuid5(NAMESPACE_URL, "https://plexsphere.com/simulated-fleet"))
TOKEN_SECONDS = 3_600
# What plexd writes in a secret key; it has no meaning here.
SECRET_KEY_ENV = "plexd"
# 404: it was removed before.
REMOVED = (200, 204, 404)
READ_SECONDS = 60.0


class EnrolmentError(Exception):
    """The message is a sentence with the refused request and the code."""


@dataclass(frozen=True, slots=True)
class FleetEnrolment:
    """``name`` tells fleets apart: the same name has the same Domains and Nodes.

    The agents enrol with bootstrap tokens and present node secret keys, as plexd does. With ``jwt``
    the operator registers the Nodes, and the agents present tokens.
    """

    url: str
    operator: str = field(repr=False)
    dsn: str = field(repr=False)
    name: str = "fleet"
    jwt: bool = False

    def slug(self, number: int) -> str:
        """The slug of the Domain with this number; the names of its Nodes begin with it."""
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

    def registered(self, domain_id: str, name: str) -> Mapping[str, Any]:
        """A new Node with its credentials. Its key depends on its name alone, so that a later run
        finds it."""
        public_key = base64.b64encode(simulated_key(name)).decode()
        if self.jwt:
            path = f"/v1/domains/{domain_id}/nodes"
            value = {"public_key": public_key, "name": name}
            return _granted(path, self.send("POST", path, value, name))
        path = f"/v1/domains/{domain_id}/bootstrap-tokens"
        wanted = {"project_id": PROJECT, "ttl_seconds": TOKEN_SECONDS, "resource_handle": name}
        issued = _granted(path, self.send("POST", path, wanted))
        value = {
            "project_id": PROJECT,
            "resource_handle": name,
            "bootstrap_token": issued["token"],
            "nonce": secrets.token_hex(16),
            "public_key": public_key,
        }
        return _granted("/v1/register", self.send("POST", "/v1/register", value))

    def agent(
        self, domain_id: str, node_id: str, secret: bytes, token: str, conditional: bool
    ) -> Agent:
        """The agent of a Node; an empty ``token`` is renewed with its secret key."""
        own = secret_key_text(UUID(node_id), secret, SECRET_KEY_ENV)
        agent = Agent(
            url=self.url,
            node_id=node_id,
            domain_id=domain_id,
            credential=token or own,
            conditional=conditional,
        )
        if self.jwt and not token:
            _granted(f"/v1/nodes/{node_id}/token", agent.renew())
        return agent

    def send(
        self, method: str, path: str, value: dict[str, Any] | None = None, key: str = ""
    ) -> AgentAnswer:
        """Send as the operator, and again while a dependency is away (which is safe with a ``key``)
        or a limit refuses it."""
        headers = {"Idempotency-Key": key} if key else {}
        ends, left = time.monotonic() + LIMITED_SECONDS, ATTEMPTS
        while True:
            answered = send(self.url, method, path, self.operator, value, headers)
            if answered.status == 429 and time.monotonic() < ends:
                time.sleep(float(answered.headers.get("retry-after", 1)))
                continue
            left -= 1
            if answered.status not in (NO_ANSWER, 503) or left == 0:
                return answered


def enrol(
    enrolment: FleetEnrolment,
    nodes: int,
    domains: int,
    clients: int,
    conditional: bool,
    progress: Callable[[], None],
) -> list[Agent]:
    """``nodes`` agents spread evenly over ``domains`` Domains.

    A Node of an earlier run gets one more secret key from the ledger, because only its agent can
    ask for one. Raises EnrolmentError, ComposerError.
    """
    ids = [enrolment.domain(number) for number in range(domains)]
    known = {
        (row.domain_id, row.name): str(row.node_id)
        for row in _rows(enrolment)
        if _is_simulated(row)
    }
    lock, write = threading.Lock(), operator_write("node.rotate_secret_key")

    with (
        command_connections(enrolment.dsn, "plexsphere-state fleet") as connections,
        ThreadPoolExecutor(clients) as pool,
    ):
        credentials = PostgresNodeCredentials(*connections)

        def adopted(node_id: str) -> bytes:
            key = RandomSecretKeys().new()
            deadline = Deadline.after(READ_SECONDS, time.monotonic)
            with lock:
                credentials.rotate_secret_key(
                    node_id=UUID(node_id), digest=key.digest, write=write, deadline=deadline
                )
            return key.secret

        def register(number: int) -> Agent:
            domain_id = ids[number % domains]
            name = f"{enrolment.slug(number % domains)}-{number // domains}"
            node_id, token = known.get((domain_id, name), ""), ""
            if node_id:
                secret = adopted(node_id)
            else:
                found = enrolment.registered(domain_id, name)
                node_id, token = str(found["node_id"]), str(found.get("token", ""))
                secret = base64.b64decode(found["nsk"])
            agent = enrolment.agent(
                domain_id=domain_id,
                node_id=node_id,
                secret=secret,
                token=token,
                conditional=conditional,
            )
            progress()
            return agent

        try:
            return list(pool.map(register, range(nodes)))
        except BaseException:  # also Ctrl-C: registrations that have not begun are cancelled
            pool.shutdown(cancel_futures=True)
            raise


def simulated_key(name: str) -> bytes:
    """The public key of a simulated Node, from its name; there is no private key."""
    return hashlib.sha256(f"simulated key {name}".encode()).digest()


def _granted(path: str, answered: AgentAnswer) -> dict[str, Any]:
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


def members_of(enrolment: FleetEnrolment) -> Members:
    """Everything registered under this name by any run. Raises ComposerError."""
    rows = _rows(enrolment)
    nodes = [str(row.node_id) for row in rows if _is_simulated(row)]
    return Members(nodes, sorted({row.domain_id for row in rows}))


def _rows(enrolment: FleetEnrolment) -> list[FleetMember]:
    slugs = [enrolment.slug(number) for number in range(len(RANGES))]
    deadline = Deadline.after(READ_SECONDS, time.monotonic)
    return fleet_members(
        sessions=fleet_connection(enrolment.dsn), slugs=slugs, ranges=RANGES, deadline=deadline
    )


def _is_simulated(row: FleetMember) -> bool:
    """A Node with another key is not of a simulation, whatever its name."""
    return bool(row.node_id and row.name and row.public_key == simulated_key(row.name))


def remove(
    enrolment: FleetEnrolment, members: Members, clients: int, progress: Callable[[], None]
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


def _delete(enrolment: FleetEnrolment, path: str) -> str | None:
    """Deletes an object; a sentence where it stays."""
    for pause in (*PAUSES, 0.0):
        answered = enrolment.send("DELETE", path)
        if answered.status != HTTPStatus.FORBIDDEN:
            break
        time.sleep(pause)
    return None if answered.status in REMOVED else f"DELETE {path}: {answered.refusal}"
