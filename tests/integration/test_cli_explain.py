"""The output of ``--explain`` agrees with the pull of the same ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID, uuid4

import pytest

from composer.errors import CorruptLedger, DatastoreUnavailable, NodeNotFound
from composer.snapshot_composer import SnapshotComposer
from db.explain import Explanation, explain
from db.ledger import PostgresLedger
from db.pool import read_pool
from db.statements import statement
from server.cli.explanation import PEER, failures, peer_outcome
from tests.command_runs import run
from tests.factories import ALLOW_HTTPS, payload
from tests.fakes import FakeDropReporter
from tests.integration.ledger_rows import Hand
from tests.ledger_sql import run_sql
from tests.ports.deadlines import in_time

pytest_plugins = "tests.integration.ledger_fixtures"


@pytest.fixture
def hand(ledger_dsn: str) -> Iterator[Hand]:
    with closing(Hand(ledger_dsn)) as made:
        yield made


def compose(dsn: str, node: UUID, domain: UUID, drops: FakeDropReporter) -> dict[str, str | None]:
    """The peers of a pull: id -> fallback_endpoint."""
    with closing(read_pool(dsn, 1, 5.0)) as pool:
        composer = SnapshotComposer(PostgresLedger(pool, cached_rows=200_000), drops)
        snapshot = composer.snapshot_for_node(node, domain, in_time())
    return {str(peer.node_id): peer.fallback_endpoint for peer in snapshot.peers}


def explained_peers(found: Explanation) -> dict[str, str | None]:
    """The same, as the explanation has it."""
    peers: dict[str, str | None] = {}
    for node in found.domain:
        if peer_outcome(node, found.node.id)[0] == PEER:
            served = [assignment for assignment in node.assignments if assignment.served]
            endpoints = [
                f"[{assignment.host}]:{assignment.port}"
                if ":" in assignment.host
                else f"{assignment.host}:{assignment.port}"
                for assignment in served
            ]
            peers[node.id] = endpoints[0] if endpoints else None
    return peers


def test_peers_dropped_rows_and_relays_are_those_of_the_pull(ledger_dsn: str, hand: Hand) -> None:
    domain, elsewhere = hand.domain(), hand.domain()
    addressed, plain, relayed, twice = (hand.node(domain, number) for number in range(1, 5))
    hand.node(domain, id=UUID(int=0))
    hand.node(domain, 6, mesh_ip=None)
    hand.node(domain, 7, mesh_ip="::")
    hand.node(domain, 8, public_key=b"")
    hand.node(domain, 9, public_key=b"short")
    hand.node(elsewhere, 10)
    first, second, off = (hand.bridge(hand.node(domain, n), n != 13) for n in (11, 12, 13))
    foreign = hand.bridge(hand.node(elsewhere, 14))
    hand.assign(first, relayed, "2001:db8::1", 3478)
    for resource, host in ((first, "one"), (second, "two"), (off, "off"), (foreign, "foreign")):
        hand.assign(resource, twice, host)
    hand.assign(foreign, plain)

    drops = FakeDropReporter()
    served = compose(ledger_dsn, addressed, domain, drops)
    found = explain(ledger_dsn, addressed)

    assert explained_peers(found) == served
    assert len(served) == 6 and sum(endpoint is not None for endpoint in served.values()) == 2
    dropped = {(node.broken, node.id) for node in found.domain if node.broken}
    assert dropped == {(outcome, str(peer)) for outcome, _, _, peer in drops.drops}
    assert len(dropped) == 5
    assert failures(found) == []


@pytest.mark.parametrize(
    ("stream", "fingerprint", "fault"),
    [
        (payload(ALLOW_HTTPS), b"\0" * 32, "fingerprint_mismatch"),
        (payload(ALLOW_HTTPS)[:-1], None, "unterminated_rule"),
        (b"{}\n", None, "invalid_rule"),
        (payload(ALLOW_HTTPS, ALLOW_HTTPS), None, None),
        (b"", None, None),
    ],
)
def test_a_policy_row_fails_the_explanation_where_it_fails_the_pull(
    ledger_dsn: str, hand: Hand, stream: bytes, fingerprint: bytes | None, fault: str | None
) -> None:
    domain = hand.domain()
    node = hand.node(domain)
    digest = hashlib.sha256(stream).digest()
    hand.insert(
        "policy_compiled_ruleset",
        node_id=node,
        policy_id=uuid4(),
        revision_id=uuid4(),
        rule_payload=stream,
        fingerprint=fingerprint or digest,
    )
    (row,) = explain(ledger_dsn, node).policies
    assert (row.fault, row.fingerprint_holds) == (fault, fingerprint is None)
    assert row.rules == (None if fault else stream.count(b"\n"))
    if fault:
        with pytest.raises(CorruptLedger):
            compose(ledger_dsn, node, domain, FakeDropReporter())


def test_every_row_of_the_other_blocks_is_there(ledger_dsn: str, hand: Hand) -> None:
    domain = hand.domain()
    node, peer = hand.node(domain, 1), hand.node(domain, 2)
    resource = hand.bridge(node)
    hand.assign(resource, peer)
    for slug in ("b", "a", "ä"):
        hand.insert(
            "bridge_ingress_rules",
            bridge_resource_id=resource,
            slug=slug,
            sni_host="shop.test",
            target_node_id=peer,
            target_port=443,
        )
    for kind, key in (("report", "z"), ("report", "Z"), ("metadata", "m"), ("data", "d")):
        hand.insert("node_state_entries", node_id=node, kind=kind, key=key, value="ü")
    found = explain(ledger_dsn, node)
    assert [(row.table, row.key) for row in found.bridge] == [
        ("bridge_resources", str(resource)),
        ("bridge_relays", str(resource)),
        ("bridge_relay_assignments", str(peer)),
        ("bridge_ingress_rules", "a"),
        ("bridge_ingress_rules", "b"),
        ("bridge_ingress_rules", "ä"),
    ]
    assert [(row.kind, row.key, row.value_bytes) for row in found.entries] == [
        ("metadata", "m", 2),
        ("data", "d", 2),
        ("report", "Z", 2),
        ("report", "z", 2),
    ]


def test_times_outside_of_datetime_are_shown_unchanged(ledger_dsn: str, hand: Hand) -> None:
    node = hand.node(hand.domain(), last_heartbeat_at="infinity", changed_at="0044-03-15 BC")
    found = explain(ledger_dsn, node).node
    assert (found.last_heartbeat_at, found.changed_at[-2:]) == ("infinity", "BC")


def test_an_unknown_state_is_a_failure(ledger_dsn: str, hand: Hand) -> None:
    node = hand.node(hand.domain(), reachability_state="asleep")
    assert failures(explain(ledger_dsn, node)) == ["reachability_state is 'asleep'"]


def test_a_pull_that_the_contract_does_not_allow_is_a_failure(ledger_dsn: str, hand: Hand) -> None:
    node = hand.node(hand.domain())
    table = "ALTER TABLE plexsphere.node_state_entries"
    run_sql(ledger_dsn, f"{table} DROP CONSTRAINT node_state_entries_key_check")
    hand.insert("node_state_entries", node_id=node, kind="data", key="k" * 129, value="v")
    said = run("snapshot", str(node), "--explain", "--json", PLEXSPHERE_DSN=ledger_dsn)
    (failure,) = json.loads(said.stdout)["failures"]
    assert failure.startswith("the contract does not allow /state/data/0/key (")


def test_an_unknown_node_has_no_explanation(ledger_dsn: str) -> None:
    with pytest.raises(NodeNotFound):
        explain(ledger_dsn, uuid4())


def test_an_unreachable_postgres_is_unavailable(ledger_dsn: str) -> None:
    with pytest.raises(DatastoreUnavailable):
        explain("postgresql://x@127.0.0.1:1/x", uuid4())


def test_the_explanation_is_of_one_moment(
    ledger_dsn: str, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that is committed between two of its statements is in none of them."""
    domain = hand.domain()
    node = hand.node(domain)

    def while_others_write(name: str) -> str:
        if name == "explain_relays":
            hand.node(domain, 2)
            hand.insert("node_state_entries", node_id=node, kind="data", key="k", value="v")
        return statement(name)

    monkeypatch.setattr("db.explain.statement", while_others_write)
    before = explain(ledger_dsn, node)
    monkeypatch.undo()
    after = explain(ledger_dsn, node)
    assert (len(before.domain), len(before.entries)) == (1, 0)
    assert (len(after.domain), len(after.entries)) == (2, 1)


def test_one_peer_is_explained_across_domains(ledger_dsn: str, hand: Hand) -> None:
    domain, other = hand.domain(), hand.domain()
    addressed, peer, foreign = hand.node(domain, 1), hand.node(domain, 2), hand.node(other, 3)
    said = {
        node: run(
            "snapshot", str(addressed), "--explain", "--peer", str(node), PLEXSPHERE_DSN=ledger_dsn
        )
        for node in (peer, addressed, foreign, uuid4())
    }
    outcomes = [result.stdout.split()[0] for result in said.values()]
    assert outcomes == ["peer", "addressed", "other_domain", "unknown"]
    assert [result.exit_code for result in said.values()] == [0, 1, 1, 1]
    assert str(domain) in said[foreign].stdout and str(other) in said[foreign].stdout
