"""Rows for the ledger tests, as an operator would write them: plain SQL, one commit each."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg2
from psycopg2.extensions import connection, cursor

from composer.policy import RuleSetRow
from tests.factories import key_bytes


class Hand:
    """Writes to one ledger, each statement committed; one thread's."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True

    def close(self) -> None:
        self._connection.close()

    def cursor(self) -> cursor:
        """For statements with named arguments."""
        return self._connection.cursor()

    def run(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """One statement; its rows, if it has any."""
        with self.cursor() as used:
            used.execute(sql, [_sendable(argument) for argument in arguments] or None)
            return used.fetchall() if used.description else []

    def domain(self) -> UUID:
        """A new Domain."""
        return UUID(
            self.run("INSERT INTO plexsphere.domains DEFAULT VALUES RETURNING id::text")[0][0]
        )

    def node(self, domain: UUID, number: int = 1, **columns: Any) -> UUID:
        """A new Node, legal unless ``columns`` says otherwise."""
        values = {
            "id": uuid4(),
            "domain_id": domain,
            "mesh_ip": f"10.42.{number // 256}.{number % 256}",
            "public_key": key_bytes(number),
        } | columns
        self.insert("nodes", **values)
        return UUID(str(values["id"]))

    def bridge(self, node: UUID, enabled: bool = True) -> UUID:
        """A bridge Resource on the Node, with a relay."""
        resource = uuid4()
        self.insert("bridge_resources", id=resource, node_id=node)
        self.insert(
            "bridge_relays", bridge_resource_id=resource, enabled=enabled, listen_port=51821
        )
        return resource

    def rule_set(self, node: UUID, rules: RuleSetRow) -> None:
        """The Node has it."""
        self.insert(
            "policy_compiled_ruleset",
            node_id=node,
            policy_id=rules.policy_id,
            revision_id=rules.revision_id,
            rule_payload=rules.rule_payload,
            fingerprint=rules.fingerprint,
        )

    def assign(
        self, resource: UUID, peer: UUID, host: str = "relay.example", port: int = 1
    ) -> None:
        """The peer falls back to the relay."""
        self.insert(
            "bridge_relay_assignments",
            bridge_resource_id=resource,
            peer_node_id=peer,
            fallback_endpoint=host,
            fallback_endpoint_port=port,
        )

    def insert(self, table: str, **columns: Any) -> None:
        """One row."""
        names = ", ".join(columns)
        places = ", ".join(["%s"] * len(columns))
        self.run(f"INSERT INTO plexsphere.{table} ({names}) VALUES ({places})", *columns.values())

    def revision(self, domain: UUID) -> UUID:
        """The Domain's peers_revision."""
        found = self.run(
            "SELECT peers_revision::text FROM plexsphere.domains WHERE id = %s", domain
        )
        return UUID(found[0][0])

    def session(self) -> connection:
        """A connection whose transactions the caller ends."""
        return psycopg2.connect(self.dsn)


def _sendable(argument: Any) -> Any:
    return str(argument) if isinstance(argument, UUID) else argument


def revision_seen_by(session: connection, domain: UUID) -> UUID:
    """The Domain's peers_revision inside the session's transaction."""
    with session.cursor() as used:
        used.execute(
            "SELECT peers_revision::text FROM plexsphere.domains WHERE id = %s", (str(domain),)
        )
        found = used.fetchone()
    assert found is not None
    return UUID(found[0])
