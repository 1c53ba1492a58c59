"""One moment: no body mixes two versions of the ledger, however many are written meanwhile.

A writer inside Postgres commits one version after another; each touches every row set, and each
block says somewhere which version it is of. tests/fuzz/test_mixed_moments.py shows that the test
sees a mixed body.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any

import psycopg2
import pytest

from db.pool import read_pool
from tests.ledger_tables import load
from tests.pulls import Puller

pytest_plugins = "tests.integration.ledger_fixtures"

CLIENTS = 16
PULLS = 100  # by each client
VERSIONS_AT_LEAST = 20  # pulls at once are read by one statement, so of one version

DOMAIN = "0190b2c4-0000-7000-8000-00000000d0d0"
NODE = "0190b2c4-8d5e-7000-8000-000000000001"
PEERS = [f"0190b2c4-8d5e-7000-8000-{number:012x}" for number in range(2, 22)]
RESOURCE = "50000000-0000-4000-8000-000000000000"
POLICIES = ["10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000"]
EPOCH = "2026-01-01T00:00:00Z"

# Peers move with every second version, so that a held table is served between two others. The
# newest version is looked up under no lock: whoever reads several times sees it move.
WRITER = """
DO $$
DECLARE
    version integer := 1;
    payload bytea;
BEGIN
    LOOP
        version := 2 + (version - 1) % 60000;
        payload := convert_to(format(
            '{"action":"allow","protocol":"tcp","source_cidr":"::/0","destination_cidr":"::/0",'
            || '"ports":{"from":%s,"to":65535}}' || E'\n', version), 'UTF8');
        IF version % 2 = 0 THEN
            UPDATE plexsphere.nodes
            SET public_key = decode(lpad(to_hex(version), 64, '0'), 'hex');
            UPDATE plexsphere.bridge_relay_assignments SET fallback_endpoint_port = version;
        END IF;
        UPDATE plexsphere.nodes
        SET last_heartbeat_at = '2026-01-01Z'::timestamptz + version * interval '1 second',
            changed_at = '2026-01-01Z'::timestamptz + version * interval '1 second';
        UPDATE plexsphere.policy_compiled_ruleset
        SET rule_payload = payload, fingerprint = sha256(payload),
            revision_id = lpad(to_hex(version), 32, '0')::uuid;
        UPDATE plexsphere.node_state_entries SET value = version::text;
        UPDATE plexsphere.bridge_relays SET listen_port = version;
        UPDATE plexsphere.bridge_user_access_providers SET listen_port = version;
        UPDATE plexsphere.bridge_ingress_rules SET target_port = version;
        UPDATE plexsphere.bridge_site_to_site_tunnels SET remote_port = version;
        COMMIT;
    END LOOP;
END
$$
"""


def fleet() -> dict[str, list[dict[str, Any]]]:
    """A bridge Node with every block, and twenty peers."""
    part = {"bridge_resource_id": RESOURCE, "created_at": EPOCH, "updated_at": EPOCH}
    item = part | {"id": RESOURCE, "slug": "one"}
    secret = {"auth_secret_ref": "secret:a/b/c"}
    return {
        "domains": [{"id": DOMAIN}],
        "nodes": [
            {"id": node, "domain_id": DOMAIN, "mesh_ip": "10.42.0.1", "public_key": bytes(32)}
            for node in (NODE, *PEERS)
        ],
        "policy_compiled_ruleset": [
            {
                "node_id": NODE,
                "policy_id": policy,
                "revision_id": policy,
                "rule_payload": b"",
                "fingerprint": b"",
            }
            for policy in POLICIES
        ],
        "node_state_entries": [
            {"node_id": NODE, "kind": kind, "key": "version", "value": ""}
            for kind in ("metadata", "data", "report")
        ],
        "bridge_resources": [{"id": RESOURCE, "node_id": NODE}],
        "bridge_relays": [part | {"enabled": True, "listen_port": 1}],
        "bridge_relay_assignments": [
            {
                "bridge_resource_id": RESOURCE,
                "peer_node_id": peer,
                "fallback_endpoint": "relay.example.net",
                "fallback_endpoint_port": 1,
            }
            for peer in PEERS
        ],
        "bridge_user_access_providers": [
            item
            | secret
            | {"kind": "netbird", "interface_name": "a", "listen_port": 1, "max_peers": 1}
        ],
        "bridge_ingress_rules": [
            item | {"sni_host": "a", "target_node_id": PEERS[0], "target_port": 1}
        ],
        "bridge_site_to_site_tunnels": [
            item | secret | {"kind": "ipsec", "remote_host": "a", "remote_port": 1}
        ],
    }


def versions(body: bytes) -> set[int]:
    """The version that each block names; a body of one moment names one. Peers name an even one."""
    value = json.loads(body)
    seconds = [
        datetime.fromisoformat(value["reachability"][name]) - datetime.fromisoformat(EPOCH)
        for name in ("last_heartbeat_at", "changed_at")
    ]
    rules = value["policy"]["rules"]
    bridge = value["bridge"]
    found = [
        *(int(duration.total_seconds()) for duration in seconds),
        int(value["policy"]["revision_id"].replace("-", ""), 16),
        *(rule["ports"]["from"] for rule in rules),
        bridge["relay"]["listen_port"],
        bridge["user_access"]["providers"][0]["listen_port"],
        bridge["ingress"]["rules"][0]["target_port"],
        bridge["site_to_site"]["tunnels"][0]["remote_port"],
        *(int(entries[0]["value"]) for entries in value["state"].values()),
        *(int(entries[0]["value"]) for entries in value["reports"].values()),
    ]
    halves = [
        *(int.from_bytes(base64.b64decode(peer["public_key"])) for peer in value["peers"]),
        *(int(peer["fallback_endpoint"].rpartition(":")[2]) for peer in value["peers"]),
        *(assignment["fallback_endpoint_port"] for assignment in bridge["relay"]["assignments"]),
    ]
    assert len(rules) == 2 and len(halves) == 3 * len(PEERS)
    return {version - version % 2 for version in found} | set(halves) | _same(found)


def _same(found: list[int]) -> set[int]:
    """Nothing when all are the same version; else all of them, even where their halves agree."""
    return set() if len(set(found)) == 1 else set(found)


@pytest.fixture(scope="module")
def written(ledger_dsn: str) -> Iterator[str]:
    """A ledger that changes all the time."""
    with (
        closing(psycopg2.connect(ledger_dsn)) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        load(cursor, fleet())
    with being_written(ledger_dsn):
        yield ledger_dsn


@contextmanager
def being_written(dsn: str) -> Iterator[None]:
    writing = psycopg2.connect(dsn)
    writing.autocommit = True

    def write() -> None:
        with writing.cursor() as cursor, pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute(WRITER)

    with ThreadPoolExecutor(1) as writer:
        loop = writer.submit(write)
        try:
            wait_for_the_first(dsn)
            yield
        finally:
            while not loop.done():
                # Again, in case it came before the statement did.
                writing.cancel()
        loop.result()
    writing.close()


def wait_for_the_first(dsn: str) -> None:
    """The rows as loaded have no version: a pull of them would be an error."""
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for _ in range(100_000):
                cursor.execute("SELECT min(listen_port) > 3 FROM plexsphere.bridge_relays")
                if cursor.fetchone() == (True,):
                    return
    raise AssertionError("the writer writes nothing")


def pulled(read: Callable[[], bytes]) -> list[set[int]]:
    """The versions of each pull: CLIENTS at once pull PULLS times, and on until many are seen."""
    start = threading.Barrier(CLIENTS)
    known: set[int] = set()

    def client(_: int) -> list[set[int]]:
        start.wait()
        found: list[set[int]] = []
        while len(found) < PULLS or len(known) < VERSIONS_AT_LEAST:
            found.append(versions(read()))
            known.update(found[-1])
        return found

    with ThreadPoolExecutor(CLIENTS) as clients:
        return [seen for some in clients.map(client, range(CLIENTS)) for seen in some]


def test_no_body_mixes_versions(written: str) -> None:
    pool = read_pool(written, CLIENTS, 30.0)
    puller = Puller(pool)

    def read() -> bytes:
        answer = puller.pull(NODE)
        assert answer.status == 200
        return answer.body

    seen = pulled(read)
    pool.close()
    print(f"{len(seen)} bodies of {len(set.union(*seen)) * 2} versions or so")
    assert [some for some in seen if len(some) > 1] == []
