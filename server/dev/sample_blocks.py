"""The blocks of the sample Domain's first Nodes: policies, entries and the bridge."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from ipaddress import IPv4Network
from uuid import NAMESPACE_URL, UUID, uuid5

from db.bulk import TableRows

# Numbers of Nodes. The addressed Node is 0 and the bridge Node is 2 (sample.py).
TWO_POLICIES, ONE_POLICY, EMPTY_POLICY = (0, 5), (2, 3, 8, 12, 20), (9,)
EVERY_ENTRY, ONLY_REPORT, ONLY_METADATA = (0, 2, 14), (3, 6), (4, 10)
# Peers that reach the mesh through the bridge's relay.
RELAYED = {1: "relay.sample.example", 11: "198.51.100.7", 13: "2001:db8::7"}
RULE_SET_COLUMNS = ("node_id", "policy_id", "revision_id", "rule_payload", "fingerprint")
ENTRY_COLUMNS = ("node_id", "kind", "key", "value", "workload_tag")

Rule = dict[str, object]
Entries = list[tuple[str, str, str, str | None]]


def policy_rows(ids: Sequence[UUID], network: IPv4Network) -> TableRows:
    web = [
        rule("allow", "tcp", str(network), f"{network}", ports=(443, 443)),
        rule("allow", "udp", "10.0.0.0/8", f"{network}", ports=(51820, 51830)),
        rule("log", "icmp", "0.0.0.0/0", f"{network}"),
    ]
    last = [rule("allow", "tcp", "2001:db8::/32", "2001:db8:42::/48", ports=(1, 65535))]
    last.append(rule("deny", "any", "0.0.0.0/0", f"{network}"))
    rows = []
    for number, node_id in enumerate(ids):
        if number in TWO_POLICIES:
            rows += [rule_set(node_id, "web", web), rule_set(node_id, "last", last)]
        elif number in ONE_POLICY:
            rows.append(rule_set(node_id, "web", web))
        elif number in EMPTY_POLICY:
            rows.append(rule_set(node_id, "empty", []))
    return TableRows("policy_compiled_ruleset", RULE_SET_COLUMNS, rows)


def entry_rows(ids: Sequence[UUID]) -> TableRows:
    metadata: Entries = [
        ("metadata", "region", "eu-central-1", None),
        ("metadata", "rack", "7b", None),
    ]
    data: Entries = [
        ("data", "dns.servers", json.dumps(["10.42.0.53", "10.42.0.54"]), None),
        ("data", "motd", "Grüße from the sample Domain — a tab:\t, a line:\n.", None),
    ]
    reports: Entries = [
        ("report", "disk", "ok", "agent"),
        ("report", "kernel", "6.12.0", None),
        ("report", "workload/db", '{"replicas":3}', "db"),
    ]
    rows: list[tuple[object, ...]] = []
    for number, node_id in enumerate(ids):
        entries: Entries = []
        if number in EVERY_ENTRY:
            entries = metadata + data + reports
        elif number in ONLY_REPORT:
            entries = reports[:1]
        elif number in ONLY_METADATA:
            entries = metadata
        rows += [(node_id, *entry) for entry in entries]
    return TableRows("node_state_entries", ENTRY_COLUMNS, rows)


def bridge_tables(bridge: UUID, ids: Sequence[UUID], now: datetime) -> Iterator[TableRows]:
    resource = uuid5(NAMESPACE_URL, f"bridge {bridge}")
    yield TableRows("bridge_resources", ("id", "node_id", "name"), [(resource, bridge, "edge")])
    relay = (resource, True, 51900)
    yield TableRows("bridge_relays", ("bridge_resource_id", "enabled", "listen_port"), [relay])
    columns = ("bridge_resource_id", "peer_node_id", "fallback_endpoint", "fallback_endpoint_port")
    relayed = [
        (resource, ids[number], host, 3478)
        for number, host in RELAYED.items()
        if number < len(ids) and ids[number] != bridge
    ]
    yield TableRows("bridge_relay_assignments", columns, relayed)
    own = ("id", "bridge_resource_id", "slug")
    stamps = ("created_at", "updated_at")

    def named(kind: str, slug: str, *values: object) -> tuple[object, ...]:
        return (uuid5(resource, f"{kind} {slug}"), resource, slug, *values, now, now)

    provider = ("kind", "interface_name", "listen_port", "max_peers", "auth_secret_ref")
    yield TableRows(
        "bridge_user_access_providers",
        (*own, *provider, "routing_policy", *stamps),
        [
            named(
                "access", "staff", "netbird", "wt0", 51821, 250, _secret("netbird"), '{"nat":true}'
            ),
            named("access", "vendors", "wireguard", "wg1", 51822, 20, _secret("vendors"), "{}"),
        ],
    )
    yield TableRows(
        "bridge_ingress_rules",
        (*own, "sni_host", "target_node_id", "target_port", "acme_account_ref", *stamps),
        [
            named("ingress", "api", "api.sample.example", ids[0], 8443, "acme:sample"),
            named("ingress", "www", "www.sample.example", ids[-1], 443, None),
        ],
    )
    tunnel = ("kind", "remote_host", "remote_port", "auth_secret_ref", "allowed_subnets")
    yield TableRows(
        "bridge_site_to_site_tunnels",
        (*own, *tunnel, "routing_policy", *stamps),
        [
            named(
                "tunnel",
                "plant",
                "wireguard",
                "vpn.plant.example",
                51820,
                _secret("plant"),
                "{192.168.10.0/24,fd00:10::/64}",
                "bidirectional",
            )
        ],
    )


def rule(
    action: str, protocol: str, source: str, destination: str, ports: tuple[int, int] | None = None
) -> Rule:
    """One compiled rule as it stands in a payload."""
    value: Rule = {
        "action": action,
        "protocol": protocol,
        "source_cidr": source,
        "destination_cidr": destination,
    }
    return value | ({"ports": {"from": ports[0], "to": ports[1]}} if ports else {})


def rule_set(node_id: UUID, policy: str, rules: Sequence[Rule]) -> tuple[object, ...]:
    # Newline-framed canonical JSON, and the digest of exactly these bytes.
    payload = b"".join(json.dumps(rule, separators=(",", ":")).encode() + b"\n" for rule in rules)
    policy_id = uuid5(NAMESPACE_URL, f"policy {policy}")
    revision_id = uuid5(policy_id, payload.decode())
    return (node_id, policy_id, revision_id, payload, hashlib.sha256(payload).digest())


def _secret(name: str) -> str:
    return f"secret:sample/{name}/key"
