"""The second implementation: what a pull must answer, from the text of docs/design.md alone.

It shares no code with `composer`, `db` or `handlers.wire`. One naive query for each row set, then
sorting and merging in Python, and `json.dumps` at the end. Where it and the service differ, one of
them has misread the text.
"""

import base64
import json
from typing import Any

from tests.oracle_bridge import bridge
from tests.oracle_policy import policy
from tests.oracle_rows import (
    NIL,
    Connection,
    NoBodyError,
    NoSuchNodeError,
    Row,
    by_bytes,
    rows_of,
    timestamp,
)

UNSPECIFIED = ("0.0.0.0", "::")
ENTRY_BUCKETS = {"metadata": "metadata", "data": "data", "report": "reports"}
STATES = ("healthy", "stale", "unreachable", "")
Drop = tuple[str, str, str, str]


def expected_body(connection: Connection, node_id: str) -> bytes:
    """The bytes of the 200 for this Node.

    Raises NoBodyError where the pull must fail, NoSuchNodeError where there is no such Node.
    """
    return dumps(expected_value(connection, node_id))


def dumps(value: object) -> bytes:
    """Compact, UTF-8, escaped as little as JSON allows. NaN and Infinity are not JSON."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise NoBodyError(str(error)) from None
    return text.encode("utf-8")


def expected_value(connection: Connection, node_id: str) -> dict[str, Any]:
    domain_id = domain_of(connection, node_id)
    entries = state(connection, node_id)
    return {
        "peers": peers(connection, node_id, domain_id),
        "reachability": reachability(connection, node_id),
        "policy": policy(connection, node_id),
        "bridge": bridge(connection, node_id),
        "state": entries,
        "reports": entries,
    }


def expected_drops(connection: Connection, node_id: str) -> list[Drop]:
    """One (outcome, domain, addressed Node, peer) for each row left out, by peer ascending."""
    domain_id = domain_of(connection, node_id)
    return [
        (flaw, domain_id, node_id, row[0])
        for row in _peer_rows(connection, node_id, domain_id)
        if (flaw := _flaw(*row)) is not None
    ]


def domain_of(connection: Connection, node_id: str) -> str:
    if node_id == NIL:
        raise NoBodyError("the nil UUID addresses no Node")
    rows = rows_of(
        connection, "SELECT domain_id::text FROM plexsphere.nodes WHERE id = %s", node_id
    )
    if not rows:
        raise NoSuchNodeError(node_id)
    return str(rows[0][0])


def peers(connection: Connection, node_id: str, domain_id: str) -> list[dict[str, Any]]:
    fallbacks = _fallbacks(connection, domain_id)
    answer = []
    for peer_id, mesh_ip, public_key in _peer_rows(connection, node_id, domain_id):
        if _flaw(peer_id, mesh_ip, public_key) is not None:
            continue
        peer = {
            "node_id": peer_id,
            "mesh_ip": mesh_ip,
            "public_key": base64.b64encode(public_key).decode(),
        }
        if peer_id in fallbacks:
            peer["fallback_endpoint"] = fallbacks[peer_id]
        answer.append(peer)
    return answer


def _peer_rows(connection: Connection, node_id: str, domain_id: str) -> list[Row]:
    rows = rows_of(
        connection,
        "SELECT id::text, host(mesh_ip), public_key FROM plexsphere.nodes WHERE domain_id = %s",
        domain_id,
    )
    others = [(i, ip, None if key is None else bytes(key)) for i, ip, key in rows if i != node_id]
    return sorted(others, key=lambda row: by_bytes(row[0]))


def _flaw(peer_id: str, mesh_ip: str | None, public_key: bytes | None) -> str | None:
    """The first invariant a row breaks, in the order of docs/design.md, The envelope."""
    if peer_id == NIL:
        return "invalid_node_id"
    if mesh_ip is None or mesh_ip in UNSPECIFIED:
        return "invalid_mesh_ip"
    if not public_key:
        return "empty_public_key"
    if len(public_key) != 32:
        return "malformed_public_key"
    return None


def _fallbacks(connection: Connection, domain_id: str) -> dict[str, str]:
    """Peer to `host:port`: the enabled relay, in the Domain, of the lowest bridge Resource."""
    hosts = {
        row[0]
        for row in rows_of(
            connection, "SELECT id::text FROM plexsphere.nodes WHERE domain_id = %s", domain_id
        )
    }
    bridges = {
        resource
        for resource, host in rows_of(
            connection, "SELECT id::text, node_id::text FROM plexsphere.bridge_resources"
        )
        if host in hosts
    }
    enabled = {
        resource
        for resource, is_enabled in rows_of(
            connection, "SELECT bridge_resource_id::text, enabled FROM plexsphere.bridge_relays"
        )
        if is_enabled
    }
    answer: dict[str, str] = {}
    rows = rows_of(
        connection,
        "SELECT bridge_resource_id::text, peer_node_id::text, fallback_endpoint, "
        "fallback_endpoint_port FROM plexsphere.bridge_relay_assignments",
    )
    for resource, peer, host, port in sorted(rows, key=lambda row: by_bytes(row[0])):
        if resource in bridges and resource in enabled:
            answer.setdefault(peer, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return answer


def reachability(connection: Connection, node_id: str) -> dict[str, Any]:
    ((verdict, heartbeat, changed),) = rows_of(
        connection,
        "SELECT reachability_state, extract(epoch FROM last_heartbeat_at) * 1000000, "
        "extract(epoch FROM changed_at) * 1000000 FROM plexsphere.nodes WHERE id = %s",
        node_id,
    )
    if verdict not in STATES:
        raise NoBodyError(f"reachability_state {verdict!r}")
    return {
        "state": verdict,
        "last_heartbeat_at": "0001-01-01T00:00:00Z" if heartbeat is None else timestamp(heartbeat),
        "changed_at": timestamp(changed),
    }


def state(connection: Connection, node_id: str) -> dict[str, list[dict[str, Any]]]:
    rows = rows_of(
        connection,
        "SELECT kind, key, value, workload_tag FROM plexsphere.node_state_entries "
        "WHERE node_id = %s",
        node_id,
    )
    buckets: dict[str, list[dict[str, Any]]] = {"metadata": [], "data": [], "reports": []}
    # Python compares text by code point.
    for kind, key, value, workload_tag in sorted(rows, key=lambda row: row[1]):
        entry = {"key": key, "value": value}
        if workload_tag:  # absent or empty: attributed to no workload
            entry["workload_tag"] = workload_tag
        buckets[ENTRY_BUCKETS[kind]].append(entry)
    return buckets
