"""The registry on real Postgres, with time that a test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID

from db.domains import PostgresDomainRegistry
from db.nodes import PostgresNodeRegistry
from db.pool import write_pool
from tests.integration.ledger_rows import Hand

HOLD_OFF = timedelta(hours=1)
WRITERS = 32


class Time:
    """The seconds by which a test has moved it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def __call__(self) -> timedelta:
        return self.ahead

    def passes(self, by: timedelta) -> None:
        self.ahead += by


class Registries:
    """Both, on one pool that is wide enough for every thread of a test."""

    def __init__(self, dsn: str, lock_timeout: float = 20.0) -> None:
        self.time = Time()
        self.pool = write_pool(dsn, WRITERS, statement_timeout=20.0, lock_timeout=lock_timeout)
        self.nodes = PostgresNodeRegistry(self.pool, HOLD_OFF, time_offset=self.time)
        self.domains = PostgresDomainRegistry(self.pool, self.time)


@contextmanager
def registries(dsn: str, lock_timeout: float = 20.0) -> Iterator[Registries]:
    made = Registries(dsn, lock_timeout)
    try:
        yield made
    finally:
        made.pool.close()


def forget(hand: Hand) -> None:
    """The rows that outlive Domains and Nodes."""
    for table in ("idempotency_keys", "role_grants", "outbox"):
        hand.run(f"DELETE FROM plexsphere.{table}")


def add_domain(hand: Hand, domain_id: UUID, mesh_cidr: str) -> None:
    hand.insert("domains", id=domain_id, mesh_cidr=mesh_cidr)


def digests_of(hand: Hand, node: UUID) -> tuple[bytes, ...]:
    rows = hand.run("SELECT secret_key_digests FROM plexsphere.nodes WHERE id = %s", node)
    return tuple(map(bytes, rows[0][0])) if rows else ()


def key_of(hand: Hand, node: UUID) -> bytes | None:
    rows = hand.run("SELECT public_key FROM plexsphere.nodes WHERE id = %s", node)
    return bytes(rows[0][0]) if rows else None


def addresses(hand: Hand, domain: UUID) -> list[str]:
    """Of every Node of the Domain, ascending."""
    rows = hand.run(
        "SELECT host(mesh_ip) FROM plexsphere.nodes WHERE domain_id = %s ORDER BY mesh_ip", domain
    )
    return [row[0] for row in rows]


def many_nodes(hand: Hand, domain: UUID, first: str, count: int) -> None:
    """As an operator's hand would write them, from an address on."""
    hand.run(
        "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key)"
        " SELECT gen_random_uuid(), %s, %s::inet + n, sha256(int8send(n))"
        " FROM generate_series(0, %s::bigint - 1) AS n",
        domain,
        first,
        count,
    )
