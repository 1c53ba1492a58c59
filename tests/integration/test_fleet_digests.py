"""The digests of ``fleet`` are those of pulls, for every kind of Node.

``fleet status`` calculates digests; the proof of ``fleet simulate`` has a statement of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from uuid import UUID

import pytest

from composer.policy import RuleSetRow
from db.fleet import PostgresFleet
from db.pool import read_pool
from server.cli.fleet.node_states import fleet_status
from server.fleet.agents import Agent
from server.fleet.proof import unequal
from tests.factories import ALLOW_HTTPS, rule_set
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time
from tests.pulls import Puller

pytest_plugins = "tests.integration.ledger_fixtures"

DENY_REST = ALLOW_HTTPS | {"action": "deny"}
SHARED, OTHER = rule_set(1, ALLOW_HTTPS), rule_set(2, ALLOW_HTTPS, DENY_REST)
# All of SHARED but what it says: whose fingerprint does not fit is corrupt.
FORGED = rule_set(1, rule_payload=OTHER.rule_payload, fingerprint=SHARED.fingerprint)
# Another Policy with the very same rules.
TWIN = rule_set(3, ALLOW_HTTPS)

Kind = Callable[[Hand, UUID, UUID], None]


def applies(*rules: RuleSetRow) -> Kind:
    """The Node has these rule sets."""

    def apply(hand: Hand, node: UUID, other: UUID) -> None:
        for rule in rules:
            hand.rule_set(node, rule)

    return apply


def hosts_a_bridge(hand: Hand, node: UUID, other: UUID) -> None:
    hand.assign(hand.bridge(node), other)


def has_entries(hand: Hand, node: UUID, other: UUID) -> None:
    for kind in ("metadata", "data", "report"):
        hand.insert("node_state_entries", node_id=node, kind=kind, key="k", value="v 'ü\n")


def is_stale(hand: Hand, node: UUID, other: UUID) -> None:
    hand.run(
        "UPDATE plexsphere.nodes SET reachability_state = 'stale', last_heartbeat_at = now()"
        " WHERE id = %s",
        node,
    )


def has_no_rows(hand: Hand, node: UUID, other: UUID) -> None:
    """Nothing but the Node itself."""


KINDS: dict[str, Kind] = {
    "no rows": has_no_rows,
    "a shared policy": applies(SHARED),
    "the same again": applies(SHARED),
    "two policies": applies(OTHER, SHARED),
    "a policy of its own": applies(rule_set(9, DENY_REST)),
    "the same rules in another policy": applies(TWIN),
    "a policy without rules": applies(rule_set(4)),
    "another revision": applies(rule_set(1, ALLOW_HTTPS, revision_id=UUID(int=7))),
    "a bridge": hosts_a_bridge,
    "entries": has_entries,
    "a verdict": is_stale,
    "a forged policy": applies(FORGED),
    "without an address": has_no_rows,
}


@pytest.fixture(params=[False, True], ids=["in order", "forged first"])
def fleet(request: pytest.FixtureRequest, hand: Hand) -> tuple[UUID, dict[str, UUID]]:
    """A Domain with a Node of every kind, in either order: any row may be the one that is sent."""
    domain = hand.domain()
    columns = {"without an address": {"mesh_ip": None}}
    nodes = {
        kind: hand.node(domain, number, **columns.get(kind, {}))
        for number, kind in enumerate(KINDS, 1)
    }
    for kind in sorted(KINDS, key=lambda kind: kind == "a forged policy", reverse=request.param):
        KINDS[kind](hand, nodes[kind], nodes["no rows"])
    return domain, nodes


def test_the_current_digest_is_that_of_a_pull_for_every_kind_of_node(
    ledger_dsn: str, fleet: tuple[UUID, dict[str, UUID]]
) -> None:
    domain, nodes = fleet
    with closing(read_pool(ledger_dsn, 1, 5.0)) as pool:
        shown = fleet_status(PostgresFleet(pool).of_domain(domain, in_time()), 300.0)
        current = {node.node_id: node.current_digest for node in shown.nodes}
        found = {kind: current[str(node)] for kind, node in nodes.items()}
        puller = Puller(pool)
        pulled = {kind: puller.pull(str(node)).digest for kind, node in nodes.items()}
    assert found == {kind: digest or None for kind, digest in pulled.items()}
    assert [kind for kind, digest in found.items() if digest is None] == ["a forged policy"]


def test_the_proof_accepts_only_the_state_of_a_pull(
    ledger_dsn: str, fleet: tuple[UUID, dict[str, UUID]]
) -> None:
    domain, nodes = fleet
    pulled = [kind for kind in KINDS if kind != "a forged policy"]
    agents = {kind: Agent("", str(nodes[kind]), str(domain), "") for kind in pulled}
    with closing(read_pool(ledger_dsn, 1, 5.0)) as pool:
        puller = Puller(pool)
        for agent in agents.values():
            agent.picture.apply(json.loads(puller.pull(agent.node_id).body))
    assert unequal(list(agents.values()), ledger_dsn) == {}
    mixed = [agents[kind] for kind in ("no rows", "a shared policy", "a bridge", "entries")]
    pictures = [agent.picture for agent in mixed]
    swapped = [
        Agent("", agent.node_id, str(domain), "", picture=picture)
        for agent, picture in zip(mixed, pictures[1:] + pictures[:1], strict=True)
    ]
    assert sorted(unequal(swapped, ledger_dsn).values()) == sorted(
        [
            "peers, policy differ",
            "peers, policy, bridge differ",
            "peers, bridge, state, reports differ",
            "peers, state, reports differ",
        ]
    )
    departed = Agent("", str(UUID(int=7)), str(domain), "", picture=pictures[0])
    assert unequal([departed], ledger_dsn) == {str(UUID(int=7)): "the ledger does not have it"}
