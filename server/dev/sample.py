"""The sample Domain: the same for the same count and seed, with every shape a pull can have.

Within the first 30 Nodes: policies, an empty policy, entries of every kind, a bridge Node with all
four aggregates, Nodes without any of these, one corrupt peer row, every reachability state.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from random import Random
from typing import Self
from uuid import NAMESPACE_URL, UUID, uuid5

from db.bulk import TableRows

# Ids are UUIDv7 from this time on, one millisecond apart, so that they sort by number.
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NETWORK, WIDER_NETWORK = IPv4Network("10.42.0.0/16"), IPv4Network("10.32.0.0/11")
NETWORK_HOLDS = 60_000
# Numbers of Nodes with a part of their own.
ADDRESSED, BRIDGE, CORRUPT = 0, 2, 7
# Larger than any number of the first Domain.
FIRST_IPV6 = 10_000_000
# The platform's manager, and the auditor of the sample Domain.
OPERATOR, AUDITOR = "user:operator", "user:auditor"
STATES = ("healthy", "healthy", "stale", "unreachable", "", "healthy")
NODE_COLUMNS = (
    "id",
    "domain_id",
    "name",
    "mesh_ip",
    "public_key",
    "reachability_state",
    "last_heartbeat_at",
    "changed_at",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The ids of a sample Domain with `nodes` Nodes; `tables` makes its rows."""

    nodes: int
    seed: int
    now: datetime

    @classmethod
    def of_now(cls, nodes: int, seed: int) -> Self:
        return cls(nodes=nodes, seed=seed, now=datetime.now(UTC))

    @property
    def domain_id(self) -> UUID:
        return _uuid7(self.seed, -1)

    def node_id(self, number: int) -> UUID:
        """The id of the Node with this number, from 0; ids ascend with the number."""
        return _uuid7(self.seed, number)

    @property
    def addressed_id(self) -> UUID:
        """A healthy Node with a policy and entries of every kind."""
        return self.node_id(ADDRESSED)

    @property
    def bridge_id(self) -> UUID:
        """The Node with a bridge Resource; the only Node where the Domain is too small."""
        return self.node_id(min(BRIDGE, self.nodes - 1))

    @property
    def ipv6_domain_id(self) -> UUID:
        """The id of the second Domain."""
        return _uuid7(self.seed, -2)

    @property
    def ipv6_ids(self) -> list[UUID]:
        """The second Domain's Nodes."""
        return [_uuid7(self.seed, FIRST_IPV6 + number) for number in range(IPV6_NODES)]

    @property
    def network(self) -> IPv4Network:
        return NETWORK if self.nodes <= NETWORK_HOLDS else WIDER_NETWORK

    def tables(self) -> Iterator[TableRows]:
        """The rows of the first Domain, in the order of their foreign keys."""
        domain = (self.domain_id, "Sample", "sample", self.network)
        yield TableRows("domains", ("id", "name", "slug", "mesh_cidr"), [domain])
        yield TableRows("nodes", NODE_COLUMNS, map(self._node, range(self.nodes)))
        ids = [self.node_id(number) for number in range(min(self.nodes, 64))]
        yield policy_rows(ids, self.network)
        yield entry_rows(ids)
        yield from bridge_tables(self.bridge_id, ids, EPOCH)
        yield TableRows("role_grants", ("object", "relation", "subject"), self._grants())

    def extremes(self) -> Iterator[TableRows]:
        """Further rows: the largest allowed blocks, and a second Domain on IPv6."""
        ids = [self.node_id(number) for number in range(min(self.nodes, 64))]
        yield many_rules(ids)
        yield largest_entries(ids)
        yield from ipv6_domain(self.ipv6_domain_id, self.ipv6_ids, self.seed, self.now)

    def _grants(self) -> list[tuple[object, ...]]:
        return [
            ("platform:plexsphere", "manager", OPERATOR),
            (f"domain:{self.domain_id}", "audit_reader", AUDITOR),
        ]

    def _node(self, number: int) -> tuple[object, ...]:
        # The corrupt peer row is a Node without an address.
        corrupt = number == CORRUPT or (number == self.nodes - 1 and 1 < self.nodes <= CORRUPT)
        state = STATES[number % len(STATES)]
        beat = self.now - timedelta(seconds=_SINCE_BEAT[state], milliseconds=number % 7 * 130)
        return (
            self.node_id(number),
            self.domain_id,
            f"node-{number:05}",
            None if corrupt else self.network[_host(number, self.network)],
            Random(f"key {self.seed} {number}").randbytes(32),
            state,
            beat if state else None,
            self.now - timedelta(minutes=10 + number % 50),
        )


# Ages of the last heartbeat (seconds) that agree with the thresholds of 90 s and 300 s.
_SINCE_BEAT = {"healthy": 12.0, "stale": 150.0, "unreachable": 900.0, "": 0.0}


def _host(number: int, network: IPv4Network) -> int:
    """The offset of its address: addresses begin with 10.42.0.1 in both networks."""
    return int(NETWORK[1]) - int(network[0]) + number


def _uuid7(seed: int, number: int) -> UUID:
    """A UUID of version 7: 48 bits of milliseconds, then bits from the seed and the number."""
    random = Random(f"id {seed} {number}").getrandbits(80)
    milliseconds = int(EPOCH.timestamp() * 1000) + 1 + number
    value = (milliseconds << 80) | random
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)


# Numbers of Nodes.
TWO_POLICIES, ONE_POLICY, EMPTY_POLICY = (0, 5), (2, 3, 8, 12, 20), (9,)
EVERY_ENTRY, ONLY_REPORT, ONLY_METADATA = (0, 2, 14), (3, 6), (4, 10)
# Peers that the bridge relays, with the host of their fallback endpoint.
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
    last = [rule("deny", "any", "0.0.0.0/0", f"{network}")]
    # Today's agents refuse a whole rule set with one rule of IPv6, so the first Node has none.
    six = [rule("allow", "tcp", "2001:db8::/32", "2001:db8:42::/48", ports=(1, 65535)), *last]
    rows = []
    for number, node_id in enumerate(ids):
        if number in TWO_POLICIES:
            other = ("last", last) if number == ADDRESSED else ("six", six)
            rows += [rule_set(node_id, "web", web), rule_set(node_id, *other)]
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
    """A compiled rule, as in a payload."""
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


# Numbers of Nodes in the first Domain.
MANY_RULES, LARGEST_ENTRIES = 15, 16
RULES = 1024  # the most of a revision
VALUE_BYTES = 4096  # the most of a value
KEY_CHARACTERS = 128
IPV6_NETWORK = IPv6Network("fd42:0:0:1::/64")
IPV6_NODES = 6


def many_rules(ids: Sequence[UUID]) -> TableRows:
    """A Node with as many rules as a revision may have."""
    rules = [
        rule(
            "allow" if number % 3 else "deny",
            "tcp" if number % 2 else "udp",
            f"10.{number // 256}.{number % 256}.0/24",
            "10.42.0.0/16",
            ports=(1 + number, 1024 + number),
        )
        for number in range(RULES)
    ]
    rows = [rule_set(ids[MANY_RULES], "many", rules)] if len(ids) > MANY_RULES else []
    return TableRows("policy_compiled_ruleset", RULE_SET_COLUMNS, rows)


def largest_entries(ids: Sequence[UUID]) -> TableRows:
    """A Node whose values are as long as allowed, inside and outside ASCII."""
    rows: list[tuple[object, ...]] = []
    if len(ids) > LARGEST_ENTRIES:
        node_id = ids[LARGEST_ENTRIES]
        rows = [
            (node_id, "metadata", "k" * KEY_CHARACTERS, "v" * VALUE_BYTES, None),
            (node_id, "data", "umlauts", "ü" * (VALUE_BYTES // 2), None),
            (node_id, "data", "separators", '\u2028\u2029"\\/\x01\x7f', None),
            (node_id, "report", "rockets", "🚀" * (VALUE_BYTES // 4), "Träger"),
            (node_id, "report", "empty", "", None),
        ]
    return TableRows("node_state_entries", ENTRY_COLUMNS, rows)


def ipv6_domain(
    domain_id: UUID, ids: Sequence[UUID], seed: int, now: datetime
) -> Iterator[TableRows]:
    """A second, small Domain with IPv6 addresses; the last Node's is unspecified."""
    domain_columns = ("id", "name", "slug", "mesh_cidr")
    yield TableRows(
        "domains", domain_columns, [(domain_id, "Sample on IPv6", "sample-6", IPV6_NETWORK)]
    )
    nodes = [
        (
            node_id,
            domain_id,
            f"six-{number}",
            "::" if number == len(ids) - 1 else IPV6_NETWORK[number + 1],
            Random(f"six {seed} {number}").randbytes(32),
            "healthy",
            now - timedelta(seconds=5),
            now - timedelta(minutes=7),
        )
        for number, node_id in enumerate(ids)
    ]
    yield TableRows("nodes", NODE_COLUMNS, nodes)
    rules = [rule("allow", "any", str(IPV6_NETWORK), str(IPV6_NETWORK))]
    rows = [rule_set(ids[0], "six", rules)]
    yield TableRows("policy_compiled_ruleset", RULE_SET_COLUMNS, rows)
