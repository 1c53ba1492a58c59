"""The sample Domain: the same for the same count and seed, with every shape a pull can have.

Within the first 30 Nodes: policies, an empty policy, entries of every kind, a bridge Node with all
four aggregates, Nodes without any of these, one corrupt peer row, every reachability state.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from random import Random
from typing import Self
from uuid import UUID

from db.bulk import TableRows

from .sample_blocks import bridge_tables, entry_rows, policy_rows
from .sample_extremes import IPV6_NODES, ipv6_domain, largest_entries, many_rules

# Ids are UUIDv7 of this moment on, one millisecond apart, so that they sort as they are numbered.
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NETWORK, WIDER_NETWORK = IPv4Network("10.42.0.0/16"), IPv4Network("10.32.0.0/11")
NETWORK_HOLDS = 60_000
# Who is who among the first Nodes; sample_blocks.py has the rest.
ADDRESSED, BRIDGE, CORRUPT = 0, 2, 7
# Far behind the first Domain's numbers.
FIRST_IPV6 = 10_000_000
# Who holds which role: the platform's manager, and the auditor of the sample Domain.
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
    """Identities of a sample Domain with `nodes` Nodes; `tables` makes its rows."""

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
        """Of the Node with this number, from 0; ids ascend with it."""
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
        """Of the second Domain."""
        return _uuid7(self.seed, -2)

    @property
    def ipv6_ids(self) -> list[UUID]:
        """The second Domain's Nodes."""
        return [_uuid7(self.seed, FIRST_IPV6 + number) for number in range(IPV6_NODES)]

    @property
    def network(self) -> IPv4Network:
        return NETWORK if self.nodes <= NETWORK_HOLDS else WIDER_NETWORK

    def tables(self) -> Iterator[TableRows]:
        """In the order of their foreign keys."""
        domain = (self.domain_id, "Sample", "sample", self.network)
        yield TableRows("domains", ("id", "name", "slug", "mesh_cidr"), [domain])
        yield TableRows("nodes", NODE_COLUMNS, map(self._node, range(self.nodes)))
        ids = [self.node_id(number) for number in range(min(self.nodes, 64))]
        yield policy_rows(ids, self.network)
        yield entry_rows(ids)
        yield from bridge_tables(self.bridge_id, ids, EPOCH)
        yield TableRows("role_grants", ("object", "relation", "subject"), self._grants())

    def extremes(self) -> Iterator[TableRows]:
        """What comes on top: the largest legal blocks, and a second Domain on IPv6."""
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
        # An address is given before a key and a key before the first heartbeat; a Node that stopped
        # in between is the corrupt peer row.
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


# Ages in seconds that agree with the thresholds of 90 s and 300 s.
_SINCE_BEAT = {"healthy": 12.0, "stale": 150.0, "unreachable": 900.0, "": 0.0}


def _host(number: int, network: IPv4Network) -> int:
    """Its offset: Nodes count up from 10.42.0.1 in either network."""
    return int(NETWORK[1]) - int(network[0]) + number


def _uuid7(seed: int, number: int) -> UUID:
    """Version 7 in shape: 48 bits of milliseconds, then noise that only the seed decides."""
    noise = Random(f"id {seed} {number}").getrandbits(80)
    milliseconds = int(EPOCH.timestamp() * 1000) + 1 + number
    value = (milliseconds << 80) | noise
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)
