"""Registrations and enrolments a second, into Domains that have no Node yet and into one of 10,000.

A Domain that is registered into has a Node by the second registration. So Domains are created
first, which is a figure of its own, and each is left after one registration by every client: one
client finds every Domain really empty, 32 meet in one and find at most 31 Nodes there. The answer
carries the Domain's peers, so at 10,000 Nodes it is a megabyte and more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import count
from uuid import UUID

from composer.enrolment import bootstrap_token_text
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bench.driver import Source, drive, request_bytes
from tests.bench.rates import Rate, floor, operator, warm
from tests.bodies import JSON, body_now
from tests.ledger_sql import run_sql

TOKENS = 20_000
PROJECT = "0190c000-0000-7000-8000-00000000aaaa"
# The secret of a token is the digest of its number, and its id the begin of the secret's digest.
ISSUE = (
    "INSERT INTO plexsphere.bootstrap_tokens"
    " (id, domain_id, digest, project_id, issuer, issued_at, expires_at)"
    " SELECT encode(substring(s.digest FROM 1 FOR 16), 'hex')::uuid, %s, s.digest, %s, %s, now(),"
    " now() + interval '1 hour'"
    " FROM (SELECT sha256(sha256(int8send(n))) AS digest FROM generate_series(1, %s) AS n) AS s"
)
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
    source = enrolments(stack, scratch.domain(stack))
    yield Rate("enrolment", clients, drive(stack.url, source, 201, clients, seconds))


def enrolments(stack: Stack, domain_id: str) -> Source:
    """Each with a bootstrap token of its own, which is in the ledger before; then no more."""
    run_sql(stack.dsn, "DELETE FROM plexsphere.bootstrap_tokens")
    run_sql(stack.dsn, ISSUE, (domain_id, PROJECT, OPERATOR, TOKENS))
    numbers = count(1)

    def source() -> bytes | None:
        number = next(numbers)
        if number > TOKENS:
            return None
        secret = sha256(number.to_bytes(8, "big")).digest()
        token = bootstrap_token_text(UUID(bytes=sha256(secret).digest()[:16]), secret)
        body = body_now("PostRegister", bootstrap_token=token, project_id=PROJECT)
        return request_bytes(stack.url, "/v1/register", JSON, body)

    return source


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
