"""Outbox rows as a writer of the ledger would commit them, and what became of them."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

from composer.identity import domain_object, node_object
from db.events import EventLag
from db.health import Lag, LastComparison
from db.outbox import OutboxLag
from tests.fakes import Triple
from tests.ledger_sql import run_sql
from tests.node_fakes import TupleUpdate

NO_LAG = Lag(
    OutboxLag(0, 0.0, 0),
    sweep_age=None,
    comparison=LastComparison(None, 0, 0),
    events=EventLag(0, 0.0, 0),
    clock_skew=0.0,
)


def touch(*triples: Triple) -> list[TupleUpdate]:
    return [("touch", *triple) for triple in triples]


def delete(*triples: Triple) -> list[TupleUpdate]:
    return [("delete", *triple) for triple in triples]


def purge(resource: str) -> TupleUpdate:
    return ("purge", resource, "", "")


def write_row(dsn: str, object: str, *updates: TupleUpdate, type: str = "test") -> int:
    """Commit one row about ``object``; its seq."""
    return write_raw(dsn, object, [as_json(update) for update in updates], type)


def write_raw(dsn: str, object: str, tuples: object, type: str = "test") -> int:
    """Commit one row with any JSON; its seq."""
    sql = "INSERT INTO plexsphere.outbox (type, object, tuples) VALUES (%s, %s, %s) RETURNING seq"
    return int(run_sql(dsn, sql, (type, object, json.dumps(tuples)))[0][0])


def as_json(update: TupleUpdate) -> dict[str, str]:
    operation, resource, relation, subject = update
    if operation == "purge":
        return {"operation": operation, "resource": resource}
    return {
        "operation": operation,
        "resource": resource,
        "relation": relation,
        "subject": subject,
    }


def own_tuple(node: UUID) -> Triple:
    """By which a Node is its own agent."""
    return node_object(node), "agent", node_object(node)


def new_domain(dsn: str) -> UUID:
    domain = uuid4()
    run_sql(dsn, "INSERT INTO plexsphere.domains (id) VALUES (%s)", (str(domain),))
    return domain


def new_node(dsn: str, domain: UUID) -> UUID:
    node = uuid4()
    sql = "INSERT INTO plexsphere.nodes (id, domain_id) VALUES (%s, %s)"
    run_sql(dsn, sql, (str(node), str(domain)))
    return node


def tuples_of(dsn: str, node: UUID, domain: UUID) -> list[TupleUpdate]:
    """The relationships that a registration writes."""
    return touch(own_tuple(node), (node_object(node), "domain", domain_object(domain)))


def token_of(dsn: str, table: str, id: UUID) -> str | None:
    """The ZedToken on a row of ``nodes`` or ``domains``."""
    sql = f"SELECT authz_token FROM plexsphere.{table} WHERE id = %s"
    found: str | None = run_sql(dsn, sql, (str(id),))[0][0]
    return found


def waiting(dsn: str) -> list[int]:
    """The seq of every row that waits."""
    sql = (
        "SELECT seq FROM plexsphere.outbox WHERE drained_at IS NULL AND parked_at IS NULL"
        " ORDER BY seq"
    )
    return [row[0] for row in run_sql(dsn, sql)]
