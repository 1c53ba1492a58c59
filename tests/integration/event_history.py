"""Random histories of writes, and the Nodes that are sent what the ledger tells of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import psycopg2
from psycopg2.extensions import cursor

from composer.deadline import Deadline
from composer.event_keys import EventKey, StoredEventKey
from composer.events import LedgerEvent, event
from db.events import PostgresEvents
from server.events.envelope import Sent, signed_envelope
from server.events.keys import DomainSigners, EncryptedEventKeys, EventSigners
from tests.envelope_verifier import Verified, verify
from tests.event_receiver import Receiver, pulled_blocks
from tests.factories import DOMAIN, key_bytes, node_id
from tests.integration.ledger_rows import Hand
from tests.oracle import domain_of, expected_body
from tests.oracle_rows import NoBodyError, NoSuchNodeError
from tests.ports.deadlines import in_time

NODES = [str(node_id(number)) for number in range(1, 6)]
RESOURCES = [str(UUID(int=100 + number)) for number in range(3)]
POLICIES = [str(UUID(int=200 + number)) for number in range(3)]
OTHER_DOMAIN = str(UUID(int=DOMAIN.int + 1))
# Of the other Domain, and stays there: it may host a bridge Resource.
FOREIGN = str(node_id(6))


def rule_line(port: int) -> bytes:
    rule = {
        "action": "allow",
        "protocol": "tcp",
        "source_cidr": "10.0.0.0/8",
        "destination_cidr": "10.42.0.7/32",
        "ports": {"from": port, "to": port},
    }
    return json.dumps(rule, separators=(",", ":")).encode() + b"\n"


class History:
    """Random writes, as an operator's hand would send them; some change nothing."""

    def __init__(self, used: cursor, chance: random.Random) -> None:
        self._used = used
        self._chance = chance

    def write(self) -> None:
        """One statement."""
        writes: list[Callable[[], None]] = [
            self.add_node,
            self.change_address,
            self.change_key,
            self.remove_node,
            self.put_policy,
            self.put_policy,
            self.remove_policy,
            self.host_bridge,
            self.remove_bridge,
            self.put_relay,
            self.assign,
            self.assign,
            self.unassign,
            self.put_provider,
            self.put_rule,
            self.put_tunnel,
            self.remove_slug,
            self.put_entry,
            self.put_entry,
            self.remove_entry,
            self.change_state,
            self.move_node,
        ]
        self._chance.choice(writes)()

    def _run(self, sql: str, *arguments: Any) -> None:
        self._used.execute(sql, arguments)

    def _node(self) -> str:
        return self._chance.choice(NODES)

    def _resource(self) -> str:
        return self._chance.choice(RESOURCES)

    def _address(self) -> str | None:
        good = ["10.42.0.1", "10.42.0.2", "fd00::7"]
        return self._chance.choice([None, "0.0.0.0", *good, *good])

    def _key(self) -> bytes | None:
        good = [key_bytes(number) for number in (1, 2, 3)]
        return self._chance.choice([None, b"short", *good, *good])

    def add_node(self) -> None:
        self._run(
            "INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            *(self._node(), str(DOMAIN), self._address(), self._key()),
        )

    def change_address(self) -> None:
        sql = "UPDATE plexsphere.nodes SET mesh_ip = %s WHERE id = %s"
        self._run(sql, self._address(), self._node())

    def change_key(self) -> None:
        sql = "UPDATE plexsphere.nodes SET public_key = %s WHERE id = %s"
        self._run(sql, self._key(), self._node())

    def remove_node(self) -> None:
        # The first three stay, so that there is always somebody to tell.
        self._run("DELETE FROM plexsphere.nodes WHERE id = %s", self._chance.choice(NODES[3:]))

    def move_node(self) -> None:
        home = self._chance.choice([str(DOMAIN), str(DOMAIN), OTHER_DOMAIN])
        sql = "UPDATE plexsphere.nodes SET domain_id = %s WHERE id = %s"
        self._run(sql, home, self._chance.choice(NODES[3:]))

    def put_policy(self) -> None:
        payload = b"".join(rule_line(self._chance.randint(1, 3)) for _ in range(2))
        payload = self._chance.choice([payload] * 8 + [b"", b"no rule\n"])
        right = sha256(payload).digest()
        self._run(
            "INSERT INTO plexsphere.policy_compiled_ruleset"
            " (node_id, policy_id, revision_id, rule_payload, fingerprint)"
            " SELECT n.id, %s, %s, %s, %s FROM plexsphere.nodes AS n WHERE n.id = %s"
            " ON CONFLICT (node_id, policy_id) DO UPDATE SET revision_id = EXCLUDED.revision_id,"
            " rule_payload = EXCLUDED.rule_payload, fingerprint = EXCLUDED.fingerprint",
            *(self._chance.choice(POLICIES), self._chance.choice(POLICIES), payload),
            *(self._chance.choice([right] * 19 + [b"wrong"]), self._node()),
        )

    def remove_policy(self) -> None:
        sql = "DELETE FROM plexsphere.policy_compiled_ruleset WHERE policy_id = %s"
        self._run(sql, self._chance.choice(POLICIES))

    def host_bridge(self) -> None:
        self._run(
            "INSERT INTO plexsphere.bridge_resources (id, node_id)"
            " SELECT %s, n.id FROM plexsphere.nodes AS n WHERE n.id = %s"
            " AND NOT EXISTS (SELECT FROM plexsphere.bridge_resources AS b WHERE b.node_id = n.id)"
            " ON CONFLICT (id) DO UPDATE SET node_id = EXCLUDED.node_id",
            *(self._resource(), self._chance.choice([*NODES[:3], FOREIGN, FOREIGN])),
        )

    def remove_bridge(self) -> None:
        self._run("DELETE FROM plexsphere.bridge_resources WHERE id = %s", self._resource())

    def put_relay(self) -> None:
        self._run(
            "INSERT INTO plexsphere.bridge_relays (bridge_resource_id, enabled, listen_port)"
            " SELECT b.id, %s, %s FROM plexsphere.bridge_resources AS b WHERE b.id = %s"
            " ON CONFLICT (bridge_resource_id) DO UPDATE"
            " SET enabled = EXCLUDED.enabled, listen_port = EXCLUDED.listen_port",
            *(self._chance.random() < 0.7, self._chance.randint(1, 2), self._resource()),
        )

    def assign(self) -> None:
        self._run(
            "INSERT INTO plexsphere.bridge_relay_assignments"
            " (bridge_resource_id, peer_node_id, fallback_endpoint, fallback_endpoint_port)"
            " SELECT r.bridge_resource_id, n.id, %s, 7000"
            " FROM plexsphere.bridge_relays AS r, plexsphere.nodes AS n"
            " WHERE r.bridge_resource_id = %s AND n.id = %s"
            " ON CONFLICT (bridge_resource_id, peer_node_id) DO UPDATE"
            " SET fallback_endpoint = EXCLUDED.fallback_endpoint",
            *(self._chance.choice(["a.example", "fd00::1"]), self._resource(), self._node()),
        )

    def unassign(self) -> None:
        sql = "DELETE FROM plexsphere.bridge_relay_assignments WHERE peer_node_id = %s"
        self._run(sql, self._node())

    def put_provider(self) -> None:
        self._run(
            "INSERT INTO plexsphere.bridge_user_access_providers AS u (bridge_resource_id, slug,"
            " kind, interface_name, listen_port, max_peers, auth_secret_ref, routing_policy)"
            " SELECT b.id, %s, 'wireguard', 'wg<&>', 1, 1, 'secret:a/b/c', %s"
            " FROM plexsphere.bridge_resources AS b WHERE b.id = %s"
            " ON CONFLICT (bridge_resource_id, slug) DO UPDATE"
            " SET routing_policy = EXCLUDED.routing_policy",
            *(self._chance.choice("ab"), '{"b": 1.50, "a": [1e3]}', self._resource()),
        )

    def put_rule(self) -> None:
        self._run(
            "INSERT INTO plexsphere.bridge_ingress_rules"
            " (bridge_resource_id, slug, sni_host, target_node_id, target_port)"
            " SELECT b.id, %s, %s, b.node_id, 443 FROM plexsphere.bridge_resources AS b"
            " WHERE b.id = %s ON CONFLICT (bridge_resource_id, slug) DO UPDATE"
            " SET sni_host = EXCLUDED.sni_host",
            *(self._chance.choice("ab"), self._chance.choice(["a.example", "b.example"])),
            self._resource(),
        )

    def put_tunnel(self) -> None:
        self._run(
            "INSERT INTO plexsphere.bridge_site_to_site_tunnels (bridge_resource_id, slug, kind,"
            " remote_host, remote_port, auth_secret_ref, allowed_subnets, routing_policy)"
            " SELECT b.id, %s, 'wireguard', 'a.example', %s, 'secret:a/b/c', '{192.0.2.0/24}',"
            " 'bidirectional' FROM plexsphere.bridge_resources AS b WHERE b.id = %s"
            " ON CONFLICT (bridge_resource_id, slug) DO UPDATE"
            " SET remote_port = EXCLUDED.remote_port",
            *(self._chance.choice("ab"), self._chance.randint(1, 2), self._resource()),
        )

    def remove_slug(self) -> None:
        table = self._chance.choice(
            ["user_access_providers", "ingress_rules", "site_to_site_tunnels"]
        )
        self._run(
            f"DELETE FROM plexsphere.bridge_{table} WHERE slug = %s AND bridge_resource_id = %s",
            *(self._chance.choice("ab"), self._resource()),
        )

    def put_entry(self) -> None:
        self._run(
            "INSERT INTO plexsphere.node_state_entries AS e (node_id, kind, key, value)"
            " SELECT n.id, %s, %s, %s FROM plexsphere.nodes AS n WHERE n.id = %s"
            " ON CONFLICT (node_id, kind, key) DO UPDATE SET value = EXCLUDED.value",
            *(self._chance.choice(["metadata", "data", "report"]), self._chance.choice("ab")),
            *(self._chance.choice(["1", "2 < 3 & \u2028", "x" * 40_000]), self._node()),
        )

    def remove_entry(self) -> None:
        sql = "DELETE FROM plexsphere.node_state_entries WHERE node_id = %s"
        self._run(sql, self._node())

    def change_state(self) -> None:
        self._run(
            "UPDATE plexsphere.nodes SET reachability_state = %s, changed_at = now(),"
            " last_heartbeat_at = now() WHERE id = %s",
            *(self._chance.choice(["healthy", "stale"]), self._node()),
        )


class Pulls:
    """Bodies of pulls, by the second implementation: it shares no code with the events."""

    def __init__(self, reads: psycopg2.extensions.connection) -> None:
        """``reads`` commits each statement."""
        self._reads = reads

    def body(self, node: str) -> bytes | None:
        """None where the pull is refused: no such Node in the Domain, or a corrupt rule set."""
        try:
            if domain_of(self._reads, node) != str(DOMAIN):
                return None
            return expected_body(self._reads, node)
        except (NoBodyError, NoSuchNodeError):
            return None


@contextmanager
def pulls_of(dsn: str) -> Iterator[Pulls]:
    """For a ledger that nobody writes to during a pull."""
    with closing(psycopg2.connect(dsn)) as reads:
        reads.autocommit = True
        yield Pulls(reads)


class OneKey:
    """Implements server.events.keys.StoredEventKeys with one key for every Domain."""

    source = EncryptedEventKeys(bytes(32))

    def __init__(self) -> None:
        new = self.source.new(DOMAIN)
        self.key = EventKey(new.id, new.public_key)
        self._stored = StoredEventKey(new.id, new.public_key, new.encrypted_private_key, 0, None)

    def current(self, domain_id: UUID, deadline: Deadline) -> Any:
        return self.key

    def stored(self, domain_ids: Any, deadline: Deadline) -> Any:
        return {DOMAIN: [self._stored]}


KEYS = OneKey()
SIGNERS: DomainSigners = EventSigners(KEYS, OneKey.source).of_domain(DOMAIN, in_time())


def as_agent_sees(row: LedgerEvent, node: str) -> Verified | None:
    """The verified event of a row, where it is one and is for the Node."""
    change = event(row)
    if change is None or row.domain_id != DOMAIN or row.node_id not in (None, UUID(node)):
        return None
    sent = Sent(row.id, row.scope, change)
    data = signed_envelope(sent, SIGNERS.at(row.seq), datetime.now(UTC))
    keys = {KEYS.key.id: KEYS.key.public_key}
    return verify(data, keys, {f"domain:{DOMAIN}", f"node:{node}"})


def read_events(dsn: str) -> list[LedgerEvent]:
    with closing(PostgresEvents(dsn)) as events:
        return events.unpublished(100_000, (), in_time())


Step = tuple[int, dict[str, bytes | None]]


def begin_history(hand: Hand) -> None:
    """Two Domains; in the first two bridge Resources, whose relays serve the first Node."""
    for table in ("nodes", "domains", "events", "announced_blocks"):
        hand.run(f"DELETE FROM plexsphere.{table}")
    for domain in (DOMAIN, OTHER_DOMAIN):
        hand.insert("domains", id=domain)
    for number, node in enumerate([*NODES[:3], FOREIGN], 1):
        hand.insert(
            "nodes",
            id=node,
            domain_id=OTHER_DOMAIN if node == FOREIGN else DOMAIN,
            mesh_ip=f"10.42.9.{number}",
            public_key=key_bytes(90 + number),
        )
    for resource, host in zip(RESOURCES, NODES[1:3], strict=False):
        hand.insert("bridge_resources", id=resource, node_id=host)
        hand.insert("bridge_relays", bridge_resource_id=resource, listen_port=1)
        hand.assign(UUID(resource), UUID(NODES[0]))


def write_randomly(connection: psycopg2.extensions.connection, chance: random.Random) -> None:
    """A transaction."""
    with connection, connection.cursor() as used:
        history = History(used, chance)
        for _ in range(chance.randint(1, 4)):
            history.write()


def step(hand: Hand, pulls: Pulls) -> Step:
    """The last seq, and every pull."""
    last = hand.run("SELECT coalesce(max(seq), 0) FROM plexsphere.events")[0][0]
    return last, {node: pulls.body(node) for node in NODES}


def run_history(hand: Hand, pulls: Pulls, chance: random.Random, steps: int = 25) -> list[Step]:
    """The step after each of the transactions."""
    begin_history(hand)
    found: list[Step] = []
    with closing(psycopg2.connect(hand.dsn)) as connection:
        for _ in range(steps):
            write_randomly(connection, chance)
            found.append(step(hand, pulls))
    return found


def disagreement(steps: list[Step], rows: list[LedgerEvent]) -> str | None:
    """Where a Node that applied the events of ``rows`` differs from its pull, if anywhere."""
    for node in NODES[:3]:
        receiver: Receiver | None = None
        done = 0
        for last, bodies in steps:
            body = bodies[node]
            if receiver is None:
                if body is not None:
                    receiver = Receiver(node, body, lambda body=body: body)  # type: ignore[misc]
                done = last
                continue
            events = [as_agent_sees(row, node) for row in rows if done < row.seq <= last]
            done = last
            if body is None:  # this pull is a 500: the events say so, and a later pull heals it
                receiver = None
                continue
            try:
                pulled = body
                receiver._pull = lambda pulled=pulled: pulled  # type: ignore[misc]
                for verified in events:
                    if verified is not None:
                        receiver.apply(verified)
            except KeyError as error:
                return f"{node} does not know {error}"
            if receiver.blocks != pulled_blocks(body):
                return f"{node} differs after seq {last}"
    return None
