"""The snapshot's statement: one, of one moment, by index, and what the runbook's says too."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

import db.connections
from db.coalesced_reads import SNAPSHOTS_FOR_NODES
from db.connections import ReadSession
from db.ledger import SNAPSHOT_FOR_NODE, PostgresLedger
from db.nodes import NODE_BY_ID, PostgresNodeRepo
from db.pool import Pool
from db.statements import Prepared, queries, statement
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"

READS = [SNAPSHOT_FOR_NODE, SNAPSHOTS_FOR_NODES, NODE_BY_ID]
NAMES = [read.name for read in READS]

# The query of docs/runbook.md, word for word.
RUNBOOK = (
    "SELECT node_id, mesh_ip, public_key FROM plexsphere.tenancy_nodes"
    " WHERE domain_id = $1 AND id <> $2 ORDER BY node_id ASC"
)


@pytest.fixture
def node(hand: Hand) -> tuple[UUID, UUID]:
    """A Node with every kind of row, and its Domain."""
    domain = hand.domain()
    host, peer = hand.node(domain, 1), hand.node(domain, 2)
    hand.assign(hand.bridge(host), peer)
    hand.node(domain, 3, mesh_ip=None)
    hand.node(domain, 4, mesh_ip="10.42.0.4/16", public_key=b"short")
    hand.node(domain, 5, mesh_ip="fd00::5", public_key=None)
    return host, domain


def functions_of(hand: Hand, query: str) -> list[tuple[str, str]]:
    """Every function the query calls, operators' and aggregates' too, with its volatility.

    Asked of the catalogue: the query's tree, as Postgres keeps it for a view.
    """
    hand.run(f"CREATE OR REPLACE VIEW public.examined AS {query}")
    tree = hand.run(
        "SELECT ev_action::text FROM pg_rewrite WHERE ev_class = 'public.examined'::regclass"
    )[0][0]
    hand.run("DROP VIEW public.examined")
    oids = {int(oid) for oid in re.findall(r":(?:\w*funcid|aggfnoid|winfnoid) (\d+)", tree)}
    return hand.run(
        "SELECT proname, provolatile::text FROM pg_proc WHERE oid = ANY (%s)",
        sorted(oids - {0}),
    )


def body_of(read: Prepared) -> str:
    """The query, with its parameters unknown."""
    text = re.sub(r"--[^\n]*", "", statement(read.name))
    body = re.fullmatch(r"(SELECT.*);\s*", text, re.DOTALL)
    assert body is not None and ";" not in body[1]
    types = queries()[read.name].parameters
    return re.sub(r"%\((\w+)\)s", lambda found: f"NULL::{types[found[1]]}", body[1])


@pytest.mark.parametrize("read", READS, ids=NAMES)
def test_no_function_of_a_read_is_volatile(hand: Hand, read: Prepared) -> None:
    found = functions_of(hand, body_of(read))
    assert found
    assert [name for name, volatility in found if volatility == "v"] == []


def test_a_volatile_function_would_be_found(hand: Hand) -> None:
    """In a place like the ones that matter: below a CASE, in a subquery."""
    found = functions_of(
        hand, "SELECT CASE WHEN true THEN (SELECT max(gen_random_uuid()::text)) END AS x"
    )
    assert ("gen_random_uuid", "v") in found


@pytest.mark.parametrize("read", READS, ids=NAMES)
def test_no_read_locks_a_row(hand: Hand, read: Prepared) -> None:
    locks = r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|SHARE|KEY\s+SHARE)\b"
    assert re.search(locks, body_of(read), re.IGNORECASE) is None


def test_a_snapshot_is_one_round_trip(
    pool: Pool[ReadSession], node: tuple[UUID, UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = PostgresLedger(pool, cached_rows=200_000)
    for _ in range(2):  # with the peers, and without
        ledger.view(*node, in_time())
    sent: list[str] = []
    fetch = db.connections.fetch

    def counted(opened, sql, arguments, deadline):  # type: ignore[no-untyped-def]
        sent.append(sql)
        return fetch(opened, sql, arguments, deadline)

    monkeypatch.setattr(db.connections, "fetch", counted)
    view = ledger.view(*node, in_time())
    view.peers(), view.reachability(), view.policies(), view.bridge(), view.entries()
    assert sent == [SNAPSHOTS_FOR_NODES.execute]


@pytest.mark.parametrize("read", [SNAPSHOT_FOR_NODE, SNAPSHOTS_FOR_NODES], ids=NAMES[:2])
def test_every_table_is_read_by_index(
    pool: Pool[ReadSession], node: tuple[UUID, UUID], read: Prepared
) -> None:
    node_id, domain = node
    ledger = PostgresLedger(pool, cached_rows=200_000)
    for _ in range(2):
        ledger.view(node_id, domain, in_time())
    arguments = {"node_id": str(node_id), "cached_revision": None, "node_ids": [str(node_id)] * 3}
    with pool.session(in_time()) as session:
        rows = session.run("EXPLAIN (COSTS OFF) " + read.execute, arguments)
    plan = "\n".join(row[0] for row in rows)
    assert "nodes_pkey" in plan
    assert ("nodes_by_domain" in plan) == (read is SNAPSHOT_FOR_NODE)
    assert "Seq Scan" not in plan


def test_the_node_is_looked_up_by_index(pool: Pool[ReadSession], node: tuple[UUID, UUID]) -> None:
    PostgresNodeRepo(pool).get_by_id(node[0], in_time())
    with pool.session(in_time()) as session:
        rows = session.run("EXPLAIN (COSTS OFF) " + NODE_BY_ID.execute, {"node_id": str(node[0])})
    assert "nodes_pkey" in rows[0][0]


def test_the_runbooks_query_runs_verbatim_and_agrees(
    pool: Pool[ReadSession], node: tuple[UUID, UUID], hand: Hand
) -> None:
    node_id, domain = node
    hand.run(f"PREPARE runbook AS {RUNBOOK}")
    found = hand.run("EXECUTE runbook (%s, %s)", domain, node_id)
    shown = PostgresLedger(pool, cached_rows=200_000).view(node_id, domain, in_time()).peers().rows
    assert [
        (UUID(other), mesh_ip, None if key is None else bytes(key)) for other, mesh_ip, key in found
    ] == [(row.node_id, row.mesh_ip, row.public_key) for row in shown if row.node_id != node_id]
    assert len(found) == 4
