"""``snapshot --explain``: why a Node is a peer or not, and how a pull is answered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from composer.peers import PeerRow, broken_invariant
from db.explain import (
    Assignment,
    BridgeRow,
    CompiledRow,
    DomainNode,
    EntryFacts,
    Explanation,
    NodeColumns,
)
from server.cli.explanation import failures, peer_outcome, render, to_json
from server.cli.screen import Screen
from tests.factories import DOMAIN, node_id, peer_row
from tests.unit.test_cli_screen import on_terminal

ADDRESSED = str(node_id(1))


def domain_node(number: int, *assignments: Assignment, **changes: Any) -> DomainNode:
    """The ``number``-th Node as the ledger holds it."""
    row: PeerRow = peer_row(number, **changes)
    return DomainNode(
        id=str(row.node_id),
        name=f"node-{number}",
        mesh_ip=row.mesh_ip,
        public_key=row.public_key,
        broken=broken_invariant(row),
        assignments=assignments,
    )


def assignment(**changes: Any) -> Assignment:
    assignment = Assignment("resource", str(node_id(9)), True, True, "relay.test", 3478, True)
    return replace(assignment, **changes)


def explanation(**changes: Any) -> Explanation:
    node = NodeColumns(
        ADDRESSED, "one", str(DOMAIN), "Test", "revision", "healthy", None, "then", True
    )
    explanation = Explanation(node, (domain_node(1), domain_node(2)), (), (), ())
    return replace(explanation, **changes)


def shown(capsys: pytest.CaptureFixture[str], found: Explanation) -> str:
    Screen().print_all(render(found, failures(found), 1000))
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("node", "word", "reason"),
    [
        (domain_node(1), "addressed", "the addressed Node itself: no Node is its own peer"),
        (domain_node(2), "peer", "served"),
        (
            domain_node(2, assignment()),
            "peer",
            f"served, with the relay on {node_id(9)} as fallback",
        ),
        (
            domain_node(2, assignment(enabled=False, served=False)),
            "peer",
            f"served without a relay: the relay on {node_id(9)} is disabled",
        ),
        (
            domain_node(2, assignment(same_domain=False, served=False)),
            "peer",
            f"served without a relay: the relay on {node_id(9)} is in another Domain",
        ),
        (domain_node(2, mesh_ip=None), "invalid_mesh_ip", "dropped: its mesh_ip is not set"),
        (domain_node(2, mesh_ip="::"), "invalid_mesh_ip", "dropped: its mesh_ip is ::"),
        (domain_node(2, public_key=b""), "empty_public_key", "dropped: it has no public key"),
        (
            domain_node(2, public_key=b"x" * 31),
            "malformed_public_key",
            "dropped: its public key has 31 bytes instead of 32",
        ),
        (
            domain_node(2, node_id=type(DOMAIN)(int=0)),
            "invalid_node_id",
            "dropped: its id is the nil UUID",
        ),
    ],
)
def test_each_node_has_an_outcome_and_a_reason(node: DomainNode, word: str, reason: str) -> None:
    assert peer_outcome(node, ADDRESSED) == (word, reason)


def test_a_corrupt_addressed_node_is_no_peer_of_others() -> None:
    _, reason = peer_outcome(domain_node(1, mesh_ip=None), ADDRESSED)
    assert reason.endswith("other Nodes do not get it as a peer, because its mesh_ip is not set")


def test_every_node_is_listed_and_the_exceptions_come_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    domain = (domain_node(1), domain_node(2), domain_node(3, public_key=None))
    text = shown(capsys, explanation(domain=domain))
    lines = [line for line in text.splitlines() if "node-" in line]
    assert [line.split()[0] for line in lines] == [str(node_id(n)) for n in (1, 3, 2)]
    assert "addressed 1, peer 1, empty_public_key 1" in text


def test_on_80_columns_the_reasons_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    domain = (domain_node(1), replace(domain_node(2, public_key=b"x"), name="n" * 255))
    text = on_terminal(monkeypatch, 80, render(explanation(domain=domain), (), 80))
    assert max(map(len, text.splitlines())) <= 80
    first = next(line for line in text.splitlines() if line.startswith(str(node_id(1))))
    assert first.split()[1:4] == ["addressed", "the", "addressed"]
    assert "A wider terminal shows mesh_ip, name too." in text


def test_a_sound_node_is_answered_200(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, explanation())
    assert "outcome  a pull that passes the gates is answered 200: no row is corrupt" in text
    assert "policy  null" in text
    assert "bridge  null" in text
    assert "state, reports  empty" in text
    assert "NULL, served as 0001-01-01T00:00:00Z" in text


def test_a_failure_of_the_pull_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    bad = CompiledRow("p-1", "r-1", "then", 10, False, None, "fingerprint_mismatch")
    found = explanation(policies=(bad,))
    assert failures(found) == ["policy p-1 is refused: fingerprint_mismatch"]
    text = shown(capsys, found)
    assert text.startswith("outcome  a pull of this Node is answered 500: policy p-1 is refused")
    assert "DISAGREES" in text


def test_an_unknown_reachability_state_fails_the_pull() -> None:
    found = explanation()
    found = replace(found, node=replace(found.node, reachability_state="asleep"))
    assert failures(found) == ["reachability_state is 'asleep'"]


def test_every_block_names_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(
        capsys,
        explanation(
            policies=(CompiledRow("p-1", "r-1", "then", 229, True, 2, None),),
            bridge=(BridgeRow("bridge_relays", "b-1", "enabled, port 1", "then"),),
            entries=(EntryFacts("report", "disk", 2, "agent", "then"),),
        ),
    )
    assert "policy  from 1 row of policy_compiled_ruleset" in text
    assert "p-1         r-1           ok            2       229     merged" in text
    assert "bridge_relays   b-1   then         enabled, port 1" in text
    assert "state, reports  from 1 row of node_state_entries" in text


def test_json_has_outcomes_and_keys() -> None:
    found = json.loads(json.dumps(to_json(explanation(), [])))
    assert found["failures"] == []
    assert [node["outcome"] for node in found["domain"]] == ["addressed", "peer"]
    assert len(found["domain"][1]["public_key"]) == 44
