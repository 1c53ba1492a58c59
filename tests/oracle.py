"""The second implementation: what a pull must answer, from the seed's and the design's text alone.

It shares no code with `composer`, `db` or `handlers.wire`. One naive query for each row set, then
sorting and merging in Python, and `json.dumps` at the end. Where it and the service differ, one of
them has misread the text.
"""

import base64
import datetime as dt
import hashlib
import ipaddress
import json
import re
import uuid
from typing import Any

import psycopg2.extensions

NIL = "00000000-0000-0000-0000-000000000000"
UNSPECIFIED = ("0.0.0.0", "::")
ENTRY_BUCKETS = {"metadata": "metadata", "data": "data", "report": "reports"}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
STATES = ("healthy", "stale", "unreachable", "")
# The contract's pattern of a range: IPv4, or IPv6 without a dotted part.
IPV4_CIDR = re.compile(r"([0-9]{1,3}\.){3}[0-9]{1,3}/[0-9]{1,2}", re.ASCII)
IPV6_CIDR = re.compile(r"[0-9a-fA-F:]+/[0-9]{1,3}", re.ASCII)


class NoBodyError(Exception):
    """The pull has to fail: the ledger holds what no snapshot may show, or half of."""


class NoSuchNodeError(Exception):
    """The Node is not in the ledger."""


Connection = psycopg2.extensions.connection
Row = tuple[Any, ...]
Drop = tuple[str, str, str, str]


def expected_body(connection: Connection, node_id: str) -> bytes:
    """The bytes of the 200 for this Node.

    Raises NoBodyError where the pull must fail, NoSuchNodeError where there is no such Node.
    """
    return dumps(expected_value(connection, node_id))


def dumps(value: object) -> bytes:
    """D9: compact, UTF-8, escaped as little as JSON allows. NaN and Infinity are not JSON."""
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
    rows = _rows(connection, "SELECT domain_id::text FROM plexsphere.nodes WHERE id = %s", node_id)
    if not rows:
        raise NoSuchNodeError(node_id)
    return str(rows[0][0])


# ---- peers --------------------------------------------------------------------------------------


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
    rows = _rows(
        connection,
        "SELECT id::text, host(mesh_ip), public_key FROM plexsphere.nodes WHERE domain_id = %s",
        domain_id,
    )
    others = [(i, ip, None if key is None else bytes(key)) for i, ip, key in rows if i != node_id]
    return sorted(others, key=lambda row: _by_bytes(row[0]))


def _flaw(peer_id: str, mesh_ip: str | None, public_key: bytes | None) -> str | None:
    """The first invariant a row breaks, in the seed's order; the last is D12's."""
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
        for row in _rows(
            connection, "SELECT id::text FROM plexsphere.nodes WHERE domain_id = %s", domain_id
        )
    }
    bridges = {
        resource
        for resource, host in _rows(
            connection, "SELECT id::text, node_id::text FROM plexsphere.bridge_resources"
        )
        if host in hosts
    }
    enabled = {
        resource
        for resource, is_enabled in _rows(
            connection, "SELECT bridge_resource_id::text, enabled FROM plexsphere.bridge_relays"
        )
        if is_enabled
    }
    answer: dict[str, str] = {}
    rows = _rows(
        connection,
        "SELECT bridge_resource_id::text, peer_node_id::text, fallback_endpoint, "
        "fallback_endpoint_port FROM plexsphere.bridge_relay_assignments",
    )
    for resource, peer, host, port in sorted(rows, key=lambda row: _by_bytes(row[0])):
        if resource in bridges and resource in enabled:
            answer.setdefault(peer, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    return answer


# ---- reachability -------------------------------------------------------------------------------


def reachability(connection: Connection, node_id: str) -> dict[str, Any]:
    ((verdict, heartbeat, changed),) = _rows(
        connection,
        "SELECT reachability_state, extract(epoch FROM last_heartbeat_at) * 1000000, "
        "extract(epoch FROM changed_at) * 1000000 FROM plexsphere.nodes WHERE id = %s",
        node_id,
    )
    if verdict not in STATES:
        raise NoBodyError(f"reachability_state {verdict!r}")
    return {
        "state": verdict,
        "last_heartbeat_at": "0001-01-01T00:00:00Z" if heartbeat is None else _time(heartbeat),
        "changed_at": _time(changed),
    }


def _time(microseconds: Any) -> str:
    """D14: a fraction of a second without trailing zeros, and absent when it is zero."""
    try:
        when = EPOCH + dt.timedelta(microseconds=int(microseconds))
    except (OverflowError, ValueError) as error:  # infinity, BC, or past the year 9999
        raise NoBodyError(f"no RFC 3339 timestamp: {error}") from None
    seconds = when.replace(microsecond=0, tzinfo=None).isoformat()
    fraction = f"{when.microsecond:06d}".rstrip("0")
    return f"{seconds}.{fraction}Z" if fraction else f"{seconds}Z"


# ---- policy -------------------------------------------------------------------------------------


def policy(connection: Connection, node_id: str) -> dict[str, Any] | None:
    rows = _rows(
        connection,
        "SELECT policy_id::text, revision_id::text, rule_payload, fingerprint "
        "FROM plexsphere.policy_compiled_ruleset WHERE node_id = %s",
        node_id,
    )
    if not rows:
        return None
    rows.sort(key=lambda row: _by_bytes(row[0]))
    stream = b""
    for policy_id, _, payload, fingerprint in rows:
        if hashlib.sha256(bytes(payload)).digest() != bytes(fingerprint):
            raise NoBodyError(f"policy {policy_id}: fingerprint")
        stream += bytes(payload)
        if stream and not stream.endswith(b"\n"):
            raise NoBodyError(f"policy {policy_id}: the last rule has no frame")
    return {
        "revision_id": rows[0][1],
        "fingerprint": base64.b64encode(hashlib.sha256(stream).digest()).decode(),
        "rules": [_rule(line) for line in stream.split(b"\n")[:-1]],
    }


def _rule(line: bytes) -> dict[str, Any]:
    try:
        rule = json.loads(line.decode("utf-8"), object_pairs_hook=_each_key_once)
    except ValueError as error:
        raise NoBodyError(f"a rule does not parse: {error}") from None
    if not isinstance(rule, dict):
        raise NoBodyError("a rule is no object")
    names = ["action", "protocol", "source_cidr", "destination_cidr"]
    if rule.get("protocol") in ("tcp", "udp"):
        names.append("ports")
    if set(rule) != set(names):
        raise NoBodyError(f"a rule has the keys {sorted(rule)}")
    if rule["action"] not in ("allow", "deny", "log"):
        raise NoBodyError("action")
    if rule["protocol"] not in ("tcp", "udp", "icmp", "any"):
        raise NoBodyError("protocol")
    if _family(rule["source_cidr"]) != _family(rule["destination_cidr"]):
        raise NoBodyError("two address families in one rule")
    answer = {name: rule[name] for name in names}
    if "ports" in answer:
        answer["ports"] = _ports(answer["ports"])
    return answer


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("a key twice: that is no canonical JSON")
    return dict(pairs)


def _family(cidr: object) -> int:
    if not isinstance(cidr, str) or len(cidr) > 49:
        raise NoBodyError("a range is none")
    if not IPV4_CIDR.fullmatch(cidr) and not IPV6_CIDR.fullmatch(cidr):
        raise NoBodyError("a range is none")
    try:
        return ipaddress.ip_network(cidr, strict=False).version
    except ValueError:
        raise NoBodyError("a range is none") from None


def _ports(ports: object) -> dict[str, int]:
    if not isinstance(ports, dict) or set(ports) != {"from", "to"}:
        raise NoBodyError("ports")
    low, high = ports["from"], ports["to"]
    if type(low) is not int or type(high) is not int or not 1 <= low <= high <= 65535:
        raise NoBodyError("ports")
    return {"from": low, "to": high}


# ---- bridge -------------------------------------------------------------------------------------


def bridge(connection: Connection, node_id: str) -> dict[str, Any] | None:
    rows = _rows(
        connection,
        "SELECT id::text FROM plexsphere.bridge_resources WHERE node_id = %s",
        node_id,
    )
    if not rows:
        return None
    ((resource,),) = rows
    answer: dict[str, Any] = {}
    for name, part in (
        ("relay", _relay(connection, resource)),
        ("user_access", _providers(connection, resource)),
        ("ingress", _ingress(connection, resource)),
        ("site_to_site", _tunnels(connection, resource)),
    ):
        if part is not None:
            answer[name] = part
    return answer


def _relay(connection: Connection, resource: str) -> dict[str, Any] | None:
    rows = _rows(
        connection,
        "SELECT enabled, listen_port FROM plexsphere.bridge_relays WHERE bridge_resource_id = %s",
        resource,
    )
    if not rows:
        return None
    ((enabled, listen_port),) = rows
    assignments = _rows(
        connection,
        "SELECT peer_node_id::text, fallback_endpoint, fallback_endpoint_port "
        "FROM plexsphere.bridge_relay_assignments WHERE bridge_resource_id = %s",
        resource,
    )
    assignments.sort(key=lambda row: _by_bytes(row[0]))
    return {
        "enabled": enabled,
        "listen_port": listen_port,
        "assignments": [
            {
                "peer_node_id": _node_id(peer),
                "fallback_endpoint": host,
                "fallback_endpoint_port": port,
            }
            for peer, host, port in assignments
        ],
    }


def _providers(connection: Connection, resource: str) -> dict[str, Any] | None:
    rows = _rows(
        connection,
        "SELECT id::text, slug, kind, interface_name, listen_port, max_peers, auth_secret_ref, "
        "routing_policy::text, extract(epoch FROM created_at) * 1000000, "
        "extract(epoch FROM updated_at) * 1000000 "
        "FROM plexsphere.bridge_user_access_providers WHERE bridge_resource_id = %s",
        resource,
    )
    names = "id slug kind interface_name listen_port max_peers auth_secret_ref routing_policy"
    providers = []
    for row in sorted(rows, key=lambda row: row[1]):
        provider = dict(zip(names.split(), row[:8], strict=True))
        try:
            # There is no schema to order its keys by: they are text, sorted by code point.
            provider["routing_policy"] = json.loads(
                provider["routing_policy"], object_pairs_hook=lambda pairs: dict(sorted(pairs))
            )
        except ValueError as error:  # an integer longer than Python reads
            raise NoBodyError(str(error)) from None
        providers.append(provider | {"created_at": _time(row[8]), "updated_at": _time(row[9])})
    return {"providers": providers} if providers else None


def _ingress(connection: Connection, resource: str) -> dict[str, Any] | None:
    rows = _rows(
        connection,
        "SELECT id::text, slug, sni_host, target_node_id::text, target_port, "
        "extract(epoch FROM created_at) * 1000000, extract(epoch FROM updated_at) * 1000000, "
        "acme_account_ref FROM plexsphere.bridge_ingress_rules WHERE bridge_resource_id = %s",
        resource,
    )
    rules = []
    for row in sorted(rows, key=lambda row: row[1]):
        rule = {
            "id": row[0],
            "slug": row[1],
            "sni_host": row[2],
            "target_node_id": _node_id(row[3]),
            "target_port": row[4],
            "created_at": _time(row[5]),
            "updated_at": _time(row[6]),
        }
        if row[7] is not None:
            rule["acme_account_ref"] = row[7]
        rules.append(rule)
    return {"rules": rules} if rules else None


def _tunnels(connection: Connection, resource: str) -> dict[str, Any] | None:
    rows = _rows(
        connection,
        "SELECT id::text, slug, kind, remote_host, remote_port, auth_secret_ref, "
        "allowed_subnets::text[], routing_policy, extract(epoch FROM created_at) * 1000000, "
        "extract(epoch FROM updated_at) * 1000000 "
        "FROM plexsphere.bridge_site_to_site_tunnels WHERE bridge_resource_id = %s",
        resource,
    )
    names = "id slug kind remote_host remote_port auth_secret_ref allowed_subnets routing_policy"
    tunnels = [
        dict(zip(names.split(), row[:8], strict=True))
        | {"created_at": _time(row[8]), "updated_at": _time(row[9])}
        for row in sorted(rows, key=lambda row: row[1])
    ]
    return {"tunnels": tunnels} if tunnels else None


def _node_id(node_id: str) -> str:
    """The contract's NodeId is never nil, and a bridge is never shown without one of its parts."""
    if node_id == NIL:
        raise NoBodyError("the bridge refers to the nil UUID")
    return node_id


# ---- state and reports --------------------------------------------------------------------------


def state(connection: Connection, node_id: str) -> dict[str, list[dict[str, Any]]]:
    rows = _rows(
        connection,
        "SELECT kind, key, value, workload_tag FROM plexsphere.node_state_entries "
        "WHERE node_id = %s",
        node_id,
    )
    buckets: dict[str, list[dict[str, Any]]] = {"metadata": [], "data": [], "reports": []}
    # Python compares text by code point.
    for kind, key, value, workload_tag in sorted(rows, key=lambda row: row[1]):
        entry = {"key": key, "value": value}
        if workload_tag:  # absent or empty: attributed to none (contract.md 1.2)
            entry["workload_tag"] = workload_tag
        buckets[ENTRY_BUCKETS[kind]].append(entry)
    return buckets


# ---- the ledger ---------------------------------------------------------------------------------


def _by_bytes(identifier: str) -> bytes:
    return uuid.UUID(identifier).bytes


def _rows(connection: Connection, statement: str, *values: str) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())
