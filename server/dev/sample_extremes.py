"""What a sample holds at the edges: 1,024 rules, the largest entries, and a Domain on IPv6."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from ipaddress import IPv6Network
from random import Random
from uuid import UUID

from db.bulk import TableRows

from .sample_blocks import ENTRY_COLUMNS, RULE_SET_COLUMNS, rule, rule_set

# Numbers of Nodes in the first Domain.
MANY_RULES, LARGEST_ENTRIES = 15, 16
RULES = 1024  # of one revision, the most that the control plane compiles
VALUE_BYTES = 4096  # of one report value, the most there may be
KEY_CHARACTERS = 128
IPV6_NETWORK = IPv6Network("fd42:0:0:1::/64")
IPV6_NODES = 6


def many_rules(ids: Sequence[UUID]) -> TableRows:
    """One Node with as many rules as a revision may have."""
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
    """One Node whose values are as long as they may be, inside and outside ASCII."""
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
    """A second, small Domain: IPv6 addresses, the last Node's one unspecified."""
    columns = ("id", "name", "slug", "mesh_cidr")
    yield TableRows("domains", columns, [(domain_id, "Sample on IPv6", "sample-6", IPV6_NETWORK)])
    columns = ("id", "domain_id", "name", "mesh_ip", "public_key", "reachability_state")
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
    yield TableRows("nodes", (*columns, "last_heartbeat_at", "changed_at"), nodes)
    rules = [rule("allow", "any", str(IPV6_NETWORK), str(IPV6_NETWORK))]
    rows = [rule_set(ids[0], "six", rules)]
    yield TableRows("policy_compiled_ruleset", RULE_SET_COLUMNS, rows)
