"""The second implementation's bridge block, from the design's text alone."""

import json
from typing import Any

from tests.oracle_rows import NIL, Connection, NoBodyError, by_bytes, rows_of, timestamp


def bridge(connection: Connection, node_id: str) -> dict[str, Any] | None:
    rows = rows_of(
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
    rows = rows_of(
        connection,
        "SELECT enabled, listen_port FROM plexsphere.bridge_relays WHERE bridge_resource_id = %s",
        resource,
    )
    if not rows:
        return None
    ((enabled, listen_port),) = rows
    assignments = rows_of(
        connection,
        "SELECT peer_node_id::text, fallback_endpoint, fallback_endpoint_port "
        "FROM plexsphere.bridge_relay_assignments WHERE bridge_resource_id = %s",
        resource,
    )
    assignments.sort(key=lambda row: by_bytes(row[0]))
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
    rows = rows_of(
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
        providers.append(
            provider | {"created_at": timestamp(row[8]), "updated_at": timestamp(row[9])}
        )
    return {"providers": providers} if providers else None


def _ingress(connection: Connection, resource: str) -> dict[str, Any] | None:
    rows = rows_of(
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
            "created_at": timestamp(row[5]),
            "updated_at": timestamp(row[6]),
        }
        if row[7] is not None:
            rule["acme_account_ref"] = row[7]
        rules.append(rule)
    return {"rules": rules} if rules else None


def _tunnels(connection: Connection, resource: str) -> dict[str, Any] | None:
    rows = rows_of(
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
        | {"created_at": timestamp(row[8]), "updated_at": timestamp(row[9])}
        for row in sorted(rows, key=lambda row: row[1])
    ]
    return {"tunnels": tunnels} if tunnels else None


def _node_id(node_id: str) -> str:
    """The contract's NodeId is never nil, and a bridge is never shown without one of its parts."""
    if node_id == NIL:
        raise NoBodyError("the bridge refers to the nil UUID")
    return node_id
