"""Registrations a second, into Domains that have no Node yet and into one of 10,000.

A Domain that is registered into has a Node by the second registration. So Domains are created
first, which is a figure of its own, and each is left after one registration by every client: one
client finds every Domain really empty, 32 meet in one and find at most 31 Nodes there. The answer
carries the Domain's peers, so at 10,000 Nodes it is a megabyte and more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count

from server.dev.stack import Stack
from tests import scratch
from tests.bench.driver import Source, drive, request_bytes
from tests.bench.rates import Rate, floor, operator, warm
from tests.bodies import body_now
from tests.ledger_sql import run_sql

FILL = (
    "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key)"
    " SELECT gen_random_uuid(), d.id, host(network(d.mesh_cidr))::inet + n, sha256(int8send(n))"
    " FROM plexsphere.domains AS d, generate_series(1, %s) AS n WHERE d.id = %s"
)


def measured(stack: Stack, clients: int, sizes: Sequence[int], seconds: float) -> Iterator[Rate]:
    yield floor(stack, clients, seconds)
    made: list[str] = []
    found = drive(
        stack.url,
        creations(stack),
        201,
        clients,
        seconds,
        keep=lambda body: made.append(json.loads(body)["id"]),
    )
    yield Rate("new Domain", clients, found)
    for size in sizes:
        what = f"Node into {size:,}"
        if size:
            source = registrations(stack, filled(stack, size))
            yield Rate(what, clients, warm(stack.url, source, 201, clients, seconds))
        else:
            found = drive(stack.url, dealt(stack, made, clients), 201, clients, seconds)
            yield Rate(what, clients, found)


def creations(stack: Stack) -> Source:
    headers = operator(stack)
    return lambda: request_bytes(stack.url, "/v1/domains", headers, body_now("CreateDomain"))


def filled(stack: Stack, size: int) -> str:
    """A new Domain of as many Nodes, by SQL."""
    domain_id = scratch.domain(stack)
    run_sql(stack.dsn, FILL, (size, domain_id))
    run_sql(stack.dsn, "ANALYZE plexsphere.nodes")
    return domain_id


def registrations(stack: Stack, domain_id: str) -> Source:
    """Without end, each of a key of its own."""
    headers, path = operator(stack), f"/v1/domains/{domain_id}/nodes"
    return lambda: request_bytes(stack.url, path, headers, body_now("RegisterNode"))


def dealt(stack: Stack, domains: Sequence[str], clients: int) -> Source:
    """``clients`` registrations into each Domain, one Domain after the other, then no more."""
    headers, turns = operator(stack), count()

    def source() -> bytes | None:
        turn = next(turns) // clients
        if turn >= len(domains):
            return None
        path = f"/v1/domains/{domains[turn]}/nodes"
        return request_bytes(stack.url, path, headers, body_now("RegisterNode"))

    return source
