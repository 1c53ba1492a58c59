"""The sample Domain holds every kind of Node, and is the same for the same SEED."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from composer.policy import RuleSetRow, policy
from server.dev.sample import NODE_COLUMNS, STATES, Sample

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def rows_of(sample: Sample) -> dict[str, list[dict[str, object]]]:
    return {
        table.table: [dict(zip(table.columns, row, strict=True)) for row in table.rows]
        for table in sample.tables()
    }


def test_the_same_seed_makes_the_same_rows_and_another_seed_others() -> None:
    assert rows_of(Sample(40, 1, NOW)) == rows_of(Sample(40, 1, NOW))
    ours, others = (Sample(40, seed, NOW).node_id(3) for seed in (1, 2))
    assert ours != others


def test_ids_are_version_7_and_ascend_as_they_are_numbered() -> None:
    sample = Sample(3000, 1, NOW)
    ids = [sample.node_id(number) for number in range(3000)]
    assert ids == sorted(ids)
    assert {(id_.version, id_.variant) for id_ in ids} == {(7, "specified in RFC 4122")}


@pytest.mark.parametrize("count", [1, 2, 5, 30, 64])
def test_a_domain_has_exactly_its_nodes_and_one_corrupt_peer(count: int) -> None:
    nodes = rows_of(Sample(count, 1, NOW))["nodes"]
    assert len(nodes) == count
    assert len([node for node in nodes if node["mesh_ip"] is None]) == (1 if count > 1 else 0)
    assert nodes[0]["mesh_ip"] is not None


@pytest.mark.parametrize(("count", "network"), [(60_000, "10.42.0.0/16"), (60_001, "10.32.0.0/11")])
def test_a_domain_too_large_for_its_network_has_a_wider_one(count: int, network: str) -> None:
    sample = Sample(count, 1, NOW)
    assert sample.network == ip_network(network)
    first, last = sample._node(0), sample._node(count - 1)
    at = NODE_COLUMNS.index("mesh_ip")
    assert str(first[at]) == "10.42.0.1"
    assert last[at] in sample.network


def test_the_first_30_nodes_show_every_shape() -> None:
    tables = rows_of(Sample(30, 1, NOW))
    assert {node["reachability_state"] for node in tables["nodes"]} == set(STATES)
    assert {row["kind"] for row in tables["node_state_entries"]} == {"metadata", "data", "report"}
    assert b"" in [row["rule_payload"] for row in tables["policy_compiled_ruleset"]]
    for name in ("relay_assignments", "user_access_providers", "ingress_rules"):
        assert tables[f"bridge_{name}"]
    assert tables["bridge_site_to_site_tunnels"]
    blocks = ("node_state_entries", "policy_compiled_ruleset", "bridge_resources")
    node_ids = {row["node_id"] for name in blocks for row in tables[name]}
    assert {node["id"] for node in tables["nodes"]} - node_ids


def test_every_rule_set_is_one_the_composer_accepts() -> None:
    rows = rows_of(Sample(64, 1, NOW))["policy_compiled_ruleset"]
    assert rows
    for row in rows:
        del row["node_id"]
        assert policy([RuleSetRow(**row)]) is not None  # type: ignore[arg-type]


def test_a_heartbeat_agrees_with_its_state() -> None:
    limits = {"healthy": (0, 90), "stale": (90, 300), "unreachable": (300, 3600)}
    for node in rows_of(Sample(30, 1, NOW))["nodes"]:
        state, beat = node["reachability_state"], node["last_heartbeat_at"]
        if state == "":
            assert beat is None
            continue
        low, high = limits[str(state)]
        assert isinstance(beat, datetime)
        assert timedelta(seconds=low) <= NOW - beat < timedelta(seconds=high)
