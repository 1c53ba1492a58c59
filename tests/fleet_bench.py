"""How long ``fleet status`` takes, and a batch of audit rows: ``python -m tests.fleet_bench``.

On an embedded Postgres of its own; medians, in milliseconds. Every Node has a rule set and two
entries of its own, and was granted something; one in a hundred hosts a bridge with a relay.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid4

from rich.console import Console
from rich.table import Table

from composer.ports import AuditRow
from db.audit_batch import AuditBatchWriter, Recorded
from db.bulk import copy_rows
from db.connections import OneReader
from db.fleet import FleetMoment, PostgresFleet
from db.migrate import migrate
from db.table_rows import TableRows
from server.cli.fleet_states import fleet_status
from tests.factories import ALLOW_HTTPS, key_bytes, rule_set
from tests.integration.ledger_fixtures import own_postgres
from tests.integration.ledger_rows import Hand
from tests.ledger_bench import milliseconds, soon

SIZES = (64, 1_000, 10_000)
BATCH = 500
SCRIPT = str(Path(sys.executable).with_name("plexsphere-state"))
Rows = Iterator[tuple[object, ...]]


class Subject:
    """A Domain of ``size`` Nodes."""

    def __init__(self, dsn: str, size: int) -> None:
        self.size = size
        with closing(Hand(dsn)) as hand:
            self.domain = hand.domain()
            self.nodes = [UUID(int=size * 2**64 + number) for number in range(1, size + 1)]
            copy_rows(dsn, self._tables())
            hand.run("ANALYZE")

    def _tables(self) -> Iterator[TableRows]:
        hosts = {uuid4(): node for node in self.nodes[::100]}
        yield TableRows("nodes", ("id", "domain_id", "mesh_ip", "public_key"), self._members())
        yield TableRows(
            "policy_compiled_ruleset",
            ("node_id", "policy_id", "revision_id", "rule_payload", "fingerprint"),
            self._policies(),
        )
        yield TableRows("node_state_entries", ("node_id", "kind", "key", "value"), self._entries())
        yield TableRows("bridge_resources", ("id", "node_id"), iter(hosts.items()))
        yield TableRows(
            "bridge_relays",
            ("bridge_resource_id", "listen_port"),
            ((resource, 51821) for resource in hosts),
        )

    def _members(self) -> Rows:
        for number, node in enumerate(self.nodes):
            yield (
                node,
                self.domain,
                f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
                key_bytes(number),
            )

    def _policies(self) -> Rows:
        """A tenth of the Nodes shares each Policy."""
        sets = [rule_set(number, *[ALLOW_HTTPS] * 8) for number in range(1, 11)]
        for number, node in enumerate(self.nodes):
            rules = sets[number % len(sets)]
            yield node, rules.policy_id, rules.revision_id, rules.rule_payload, rules.fingerprint

    def _entries(self) -> Rows:
        for node in self.nodes:
            yield node, "metadata", "region", "eu-west"
            yield node, "report", "disk", f"{node.int % 97} % used"

    def grants(self, part: int) -> list[Recorded]:
        """Half a thousand pulls, each of another Node."""
        chosen = [self.nodes[(part * BATCH + one) % self.size] for one in range(BATCH)]
        now = time.monotonic()
        return [Recorded(now, grant(node)) for node in chosen]


def grant(node: UUID) -> AuditRow:
    name = f"node:{node}"
    return AuditRow("node_state.pull", "granted", name, name, "bench", "ab" * 32)


def measured(dsn: str, size: int) -> list[str]:
    """One line of the table."""
    subject = Subject(dsn, size)
    writer = AuditBatchWriter(dsn, "bench", time.monotonic)
    parts = iter(range(1_000_000))

    def batch() -> None:
        writer.write(writer.batch(subject.grants(next(parts))), soon())

    for _ in range(subject.size // BATCH + 1):
        batch()
    written = milliseconds(batch, 20)
    writer.close()
    fleet = PostgresFleet(OneReader(dsn, "bench"))

    def moment() -> FleetMoment:
        return fleet.of_domain(subject.domain, soon())

    read = milliseconds(moment, 9)
    whole = milliseconds(lambda: fleet_status(moment(), 300.0), 9)
    command = [SCRIPT, "fleet", "status", "--domain", str(subject.domain), "--dsn", dsn]
    shown = milliseconds(lambda: subprocess.run(command, capture_output=True), 5)
    return [f"{size:,}", *(f"{one:,.1f}" for one in (written, read, whole, shown))]


def main() -> None:
    """Print the table."""
    table = Table("Nodes", f"batch of {BATCH}", "read", "read and compared", "the whole command")
    with own_postgres() as postgres:
        dsn = postgres.fresh_database()
        migrate(dsn)
        for size in SIZES:
            table.add_row(*measured(dsn, size))
    Console().print(table)


if __name__ == "__main__":
    main()
