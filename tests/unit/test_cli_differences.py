"""``snapshot --diff`` and ``diff``: which changes are differences, and their names."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from server.cli.differences import ItemChange, SnapshotDifference, differences
from server.cli.snapshot_body import parse_snapshot, rule_line
from server.contract.document import Contract

Body = dict[str, Any]

EXAMPLES = Contract.packaged().document["components"]["examples"]
FIRST_PEER = "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a3"
SECOND_PEER = "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a4"


def bridge_node() -> Body:
    """The contract's example of a Node with every block filled."""
    return copy.deepcopy(EXAMPLES["SnapshotOfABridgeNode"]["value"])


def plain_node() -> Body:
    return copy.deepcopy(EXAMPLES["SnapshotOfAPlainNode"]["value"])


def after(edit: Callable[[Body], object]) -> SnapshotDifference:
    """The difference an edit of the bridge Node makes."""
    edited = bridge_node()
    edit(edited)
    return differences(bridge_node(), edited)


def only(found: SnapshotDifference, block: str) -> list[tuple[str, str]]:
    """Kind and item of each change; every change must be in ``block``."""
    assert [name for name, changes in found.blocks.items() if changes] == [block]
    return [(change.kind, change.item) for change in found.blocks[block]]


def test_a_body_is_the_same_as_itself() -> None:
    for body in (bridge_node(), plain_node()):
        assert differences(body, copy.deepcopy(body)).same


def test_a_heartbeat_is_shown_and_is_no_difference() -> None:
    found = after(
        lambda body: body["reachability"].update(last_heartbeat_at="2026-11-23T09:00:00Z")
    )
    assert found.same
    assert found.timestamps == (
        ("last_heartbeat_at", "2026-11-23T08:00:00.25Z", "2026-11-23T09:00:00Z"),
    )


def test_another_reachability_state_counts() -> None:
    found = after(lambda body: body["reachability"].update(state="stale"))
    assert only(found, "reachability") == [("changed", "reachability")]


def test_peers_are_known_by_their_id() -> None:
    def edit(body: Body) -> None:
        gone = body["peers"].pop(0)
        body["peers"][0]["mesh_ip"] = "fd00:42::10"
        body["peers"].append({**gone, "node_id": "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a9"})

    assert only(after(edit), "peers") == [
        ("removed", FIRST_PEER),
        ("changed", SECOND_PEER),
        ("added", "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a9"),
    ]


def test_a_changed_peer_shows_only_what_changed() -> None:
    found = after(lambda body: body["peers"][0].pop("fallback_endpoint"))
    assert found.blocks["peers"][0].fields() == ("fallback_endpoint",)


def test_the_same_peers_in_another_order_are_a_difference() -> None:
    found = after(lambda body: body["peers"].reverse())
    assert only(found, "peers") == [("moved", "peers: the same items in another order")]


def test_a_rule_is_known_by_its_content_and_place() -> None:
    def edit(body: Body) -> None:
        rules = body["policy"]["rules"]
        rules.append({**rules[0], "action": "log"})

    found = after(edit)
    assert only(found, "policy") == [("added", "rule 3")]
    assert found.blocks["policy"][0].after == {
        "rule": "log tcp 10.0.0.0/8 -> 10.42.0.7/32 port 443"
    }


def test_rules_that_changed_places_moved() -> None:
    found = after(lambda body: body["policy"]["rules"].reverse())
    kinds = only(found, "policy")
    assert [kind for kind, _ in kinds] == ["moved"]


def test_one_of_two_equal_rules_can_be_removed() -> None:
    doubled = bridge_node()
    doubled["policy"]["rules"].insert(0, doubled["policy"]["rules"][0])
    found = differences(doubled, bridge_node())
    assert [change.kind for change in found.blocks["policy"]] == ["removed"]


def test_no_policy_differs_from_an_empty_one() -> None:
    empty = {"revision_id": "r", "fingerprint": "f", "rules": []}
    found = differences(plain_node(), {**plain_node(), "policy": empty})
    assert only(found, "policy") == [("added", "policy")]


@pytest.mark.parametrize("aggregate", ["relay", "user_access", "ingress", "site_to_site"])
def test_an_absent_aggregate_is_named_with_its_members(aggregate: str) -> None:
    found = after(lambda body: body["bridge"].pop(aggregate))
    kinds = only(found, "bridge")
    assert kinds[0] == ("removed", aggregate)
    assert len(kinds) == 2 and kinds[1][1].startswith(f"{aggregate} ")


def test_an_empty_list_differs_from_an_absent_aggregate() -> None:
    emptied = bridge_node()
    emptied["bridge"] = {"ingress": {"rules": []}}
    absent = {**emptied, "bridge": {}}
    assert only(differences(absent, emptied), "bridge") == [("added", "ingress")]


def test_no_bridge_differs_from_one_without_children() -> None:
    found = differences(plain_node(), {**plain_node(), "bridge": {}})
    assert only(found, "bridge") == [("added", "bridge")]


def test_an_entry_is_known_by_bucket_and_key() -> None:
    edited = bridge_node()
    edited["state"] = edited["reports"] = {
        **edited["state"],
        "reports": [{"key": "disk", "value": "full", "workload_tag": "agent"}],
    }
    found = differences(bridge_node(), edited)
    assert found.blocks["state"] == found.blocks["reports"]
    assert [(change.kind, change.item) for change in found.blocks["state"]] == [
        ("changed", "reports/disk")
    ]
    assert found.blocks["state"][0].fields() == ("value",)


def test_a_block_of_a_later_contract_is_compared_as_a_whole() -> None:
    found = differences({**plain_node(), "executions": []}, {**plain_node(), "executions": [{}]})
    assert only(found, "executions") == [("changed", "executions")]


def test_the_two_nodes_themselves_are_no_difference_of_their_peers() -> None:
    a, b = bridge_node(), bridge_node()
    a["peers"], b["peers"] = a["peers"][:1], b["peers"][1:]
    assert differences(a, b, ignored_peers=(FIRST_PEER, SECOND_PEER)).same
    assert not differences(a, b).same


def test_scripts_get_the_whole_of_both_sides() -> None:
    found = after(lambda body: body["peers"].pop(0)).to_json()
    assert found["same"] is False
    assert found["blocks"]["peers"] == [
        {
            "kind": "removed",
            "item": FIRST_PEER,
            "before": {
                "mesh_ip": "10.42.0.8",
                "public_key": "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=",
                "fallback_endpoint": "relay.example.net:51821",
            },
            "after": None,
        }
    ]


def test_every_leaf_of_a_body_but_two_timestamps_is_compared() -> None:
    """All but the two timestamps: no field is forgotten by the comparison."""
    quiet = []
    for path in leaves(bridge_node()):
        edited = bridge_node()
        holder: Any = edited
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = "another"
        if path[0] == "policy" and path[-1] in ("from", "to"):
            holder[path[-1]] = 1
        if differences(bridge_node(), edited).same:
            quiet.append(path)
    assert quiet == [("reachability", "last_heartbeat_at"), ("reachability", "changed_at")]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
    if isinstance(value, list):
        return [leaf for at, item in enumerate(value) for leaf in leaves(item, (*path, at))]
    return [path]


def test_a_rule_is_one_line() -> None:
    rules = bridge_node()["policy"]["rules"]
    assert rule_line(rules[1]) == "deny any fd00:42::/32 -> fd00:42::7/128"
    assert rule_line({**rules[0], "ports": {"from": 80, "to": 90}}).endswith(" port 80-90")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"peers":[]}', "has no reachability, policy, bridge, state, reports"),
        (
            b'{"peers":[{}],"reachability":{},"policy":null,"bridge":null,"state":{},"reports":{}}',
            "is not shaped as a snapshot",
        ),
        (b"[" * 100_000, "is not JSON"),
    ],
)
def test_a_body_that_is_no_snapshot_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_snapshot(body)


def test_a_change_of_kind_moved_shows_both_places() -> None:
    change = ItemChange(
        "moved", "rule 1", {"position": 1, "rule": "r"}, {"position": 2, "rule": "r"}
    )
    assert change.fields() == ("position", "rule")
