"""Every odd word of `tests/ledgers.py` on its own: what a generator meets only by chance."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import psycopg2
import pytest
from psycopg2.extensions import connection
from structlog.testing import capture_logs

from server.telemetry.metrics import Metrics
from server.telemetry.recorders import PeerDropRecorder
from tests.ledger_tables import NIL, Row, Tables, framed, load
from tests.ledger_words import (
    ADDRESSES,
    BAD_LINES,
    DOMAIN_IDS,
    ENTRY_KEYS,
    HOSTS,
    ITEM_IDS,
    KEYS,
    MOMENTS,
    NO_MOMENTS,
    NO_ROUTING_TEXTS,
    NO_STATES,
    NODE_IDS,
    POLICY_IDS,
    RESOURCE_IDS,
    REVISION_IDS,
    ROUTING_TEXTS,
    RULE,
    TEXTS,
)
from tests.oracle import expected_body, expected_drops
from tests.oracle_rows import NoBodyError
from tests.pulls import Answered, PoolOfOne, Puller

pytest_plugins = "tests.integration.ledger_fixtures"

DOMAIN = DOMAIN_IDS[0]
NODE = NODE_IDS[0]
RESOURCE = RESOURCE_IDS[0]


@pytest.fixture
def opened(ledger_dsn: str) -> Iterator[connection]:
    """A connection whose transaction is never committed."""
    connected = psycopg2.connect(ledger_dsn)
    try:
        yield connected
    finally:
        connected.close()


def agreed(opened: connection, tables: Tables, node_id: str = NODE) -> Answered:
    """The service's answer; what it is made of is already compared with the oracle."""
    nodes = tables.pop("nodes", None) or [node(node_id)]
    with opened.cursor() as cursor:
        load(cursor, {"domains": [{"id": DOMAIN}], "nodes": nodes, **tables})
    puller = Puller(PoolOfOne.over(opened))
    answer = puller.pull(node_id)
    try:
        assert answer.body == expected_body(opened, node_id)
        drops = [tuple(map(str, drop)) for drop in puller.drops.drops]
        assert drops == expected_drops(opened, node_id)
    except NoBodyError:
        assert (answer.status, answer.body) == (500, b"")
    return answer


def node(node_id: str, **changes: object) -> Row:
    usual = {
        "mesh_ip": "10.42.0.1",
        "public_key": KEYS[0],
        "reachability_state": "healthy",
        "last_heartbeat_at": MOMENTS[0],
        "changed_at": MOMENTS[1],
    }
    return {"id": node_id, "domain_id": DOMAIN, **usual, **changes}


def rule_set(payload: bytes, number: int = 0) -> Row:
    return {
        "node_id": NODE,
        "policy_id": POLICY_IDS[number],
        "revision_id": REVISION_IDS[0],
        "rule_payload": payload,
        "fingerprint": hashlib.sha256(payload).digest(),
    }


def provider(**changes: object) -> Row:
    usual = {
        "id": ITEM_IDS[0],
        "bridge_resource_id": RESOURCE,
        "slug": "staff",
        "kind": "wireguard",
        "interface_name": "wg0",
        "listen_port": 1,
        "max_peers": 1,
        "auth_secret_ref": "secret:a/b/c",
        "routing_policy": "{}",
        "created_at": MOMENTS[0],
        "updated_at": MOMENTS[0],
    }
    return {**usual, **changes}


def test_every_address_with_every_key(opened: connection) -> None:
    rows = [
        node(f"0190b2c4-8d5e-7000-{ip:04x}-{key:012x}", mesh_ip=address, public_key=value)
        for ip, address in enumerate(ADDRESSES)
        for key, value in enumerate(KEYS)
    ]
    nodes = [node(NODE), *rows]
    body = json.loads(agreed(opened, {"nodes": nodes}).body)
    # Four addresses and six keys are no good: neither bad nor good ones are all there is.
    assert len(body["peers"]) == (len(ADDRESSES) - 5) * (len(KEYS) - 6)


def test_each_row_left_out_is_one_warning_with_the_seeds_fields(opened: connection) -> None:
    """For each snapshot composed: what the process holds already is warned of again."""
    corrupt = {
        NIL: ("invalid_node_id", {}),
        NODE_IDS[1]: ("invalid_mesh_ip", {"mesh_ip": "::"}),
        NODE_IDS[2]: ("empty_public_key", {"public_key": b""}),
        NODE_IDS[3]: ("malformed_public_key", {"public_key": bytes(31)}),
    }
    nodes = [node(NODE), *(node(node_id, **changes) for node_id, (_, changes) in corrupt.items())]
    with opened.cursor() as cursor:
        load(cursor, {"domains": [{"id": DOMAIN}], "nodes": nodes})
    puller = Puller(PoolOfOne.over(opened), PeerDropRecorder(Metrics()))
    expected = [
        {
            "event": "peer_dropped",
            "log_level": "warning",
            "outcome": outcome,
            "domain_id": DOMAIN,
            "addressed_node_id": NODE,
            "peer_node_id": peer,
        }
        for peer, (outcome, _) in corrupt.items()
    ]
    for _ in range(2):
        with capture_logs() as lines:
            assert puller.pull(NODE).status == 200
        assert lines == expected


def test_every_host_of_a_relay(opened: connection) -> None:
    peers = [f"0190b2c4-8d5e-7000-9000-{number:012x}" for number, _ in enumerate(HOSTS)]
    body = agreed(
        opened,
        {
            "nodes": [node(NODE), *map(node, peers)],
            "bridge_resources": [{"id": RESOURCE, "node_id": NODE}],
            "bridge_relays": [{"bridge_resource_id": RESOURCE, "enabled": True, "listen_port": 1}],
            "bridge_relay_assignments": [
                {
                    "bridge_resource_id": RESOURCE,
                    "peer_node_id": peer,
                    "fallback_endpoint": host,
                    "fallback_endpoint_port": 65535,
                }
                for peer, host in zip(peers, HOSTS, strict=True)
            ],
        },
    ).body
    shown = [peer["fallback_endpoint"] for peer in json.loads(body)["peers"]]
    assert shown == [f"[{host}]:65535" if ":" in host else f"{host}:65535" for host in HOSTS]


def test_every_text_as_a_value_and_as_a_workload_tag(opened: connection) -> None:
    entries = [
        {"node_id": NODE, "kind": kind, "key": f"{number}", "value": text, "workload_tag": tag}
        for kind in ("metadata", "data", "report")
        for number, (text, tag) in enumerate(zip(TEXTS, [None, *TEXTS], strict=False))
    ]
    assert agreed(opened, {"node_state_entries": entries}).status == 200


def test_every_key_of_an_entry_in_its_place(opened: connection) -> None:
    entries = [
        {"node_id": NODE, "kind": "data", "key": key, "value": "", "workload_tag": None}
        for key in ENTRY_KEYS
    ]
    body = json.loads(agreed(opened, {"node_state_entries": entries}).body)
    # By code point, in which UTF-8 agrees and UTF-16 does not.
    assert [row["key"] for row in body["state"]["data"]] == sorted(ENTRY_KEYS)


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_rule_that_is_none_fails_the_pull(opened: connection, line: bytes) -> None:
    payload = framed(RULE) + line + b"\n" + framed(RULE)
    sets = [rule_set(framed(RULE)), rule_set(payload, number=1)]
    assert agreed(opened, {"policy_compiled_ruleset": sets}).status == 500


@pytest.mark.parametrize("moment", [*MOMENTS, *NO_MOMENTS])
@pytest.mark.parametrize("column", ["last_heartbeat_at", "changed_at"])
def test_every_moment(opened: connection, moment: str, column: str) -> None:
    answer = agreed(opened, {"nodes": [node(NODE, **{column: moment})]})
    assert answer.status == (500 if moment in NO_MOMENTS else 200)


@pytest.mark.parametrize("state", NO_STATES)
def test_a_verdict_that_is_none_fails_the_pull(opened: connection, state: str) -> None:
    assert agreed(opened, {"nodes": [node(NODE, reachability_state=state)]}).status == 500


@pytest.mark.parametrize("text", [*ROUTING_TEXTS, *NO_ROUTING_TEXTS])
def test_every_free_form_policy(opened: connection, text: str) -> None:
    tables = {
        "bridge_resources": [{"id": RESOURCE, "node_id": NODE}],
        "bridge_user_access_providers": [provider(routing_policy=text)],
    }
    assert agreed(opened, tables).status == (500 if text in NO_ROUTING_TEXTS else 200)
