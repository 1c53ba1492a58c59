"""The time of ``plexsphere-state fleet status``, the whole command, plain and ``--json``.

And what is in it: reading, comparing; and a batch of audit rows, which keeps what it reads. On an
embedded Postgres of its own; medians, in milliseconds. CPU is the command's own, not
Postgres's. Every Node has a rule set and two entries of its own, and was granted something; one in
a hundred hosts a bridge with a relay.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from uuid import UUID, uuid4

from rich.table import Table

from composer.audit import AuditRow
from db.audit_batches import AuditBatchWriter, QueuedRow
from db.bulk import TableRows, copy_rows
from db.fleet import FleetMoment, PostgresFleet, fleet_connection
from db.migrate import migrate
from server.cli.fleet.node_states import fleet_status
from tests.factories import ALLOW_HTTPS, key_bytes, rule_set
from tests.integration.ledger_audit import batch_of
from tests.integration.ledger_fixtures import own_postgres
from tests.integration.ledger_rows import Hand
from tests.ledger_bench import milliseconds, soon

BATCH = 500
RUNS = 5
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

    def grants(self, part: int) -> list[QueuedRow]:
        """Half a thousand pulls, each of another Node."""
        chosen = [self.nodes[(part * BATCH + offset) % self.size] for offset in range(BATCH)]
        now = time.monotonic()
        return [QueuedRow(now, grant(node)) for node in chosen]


def grant(node: UUID) -> AuditRow:
    name = f"node:{node}"
    return AuditRow("node_state.pull", "granted", name, name, "bench", "ab" * 32)


@dataclass(frozen=True, slots=True)
class Ran:
    """Milliseconds of one run of a command."""

    wall: float
    cpu: float


def median_run(runs: Sequence[Ran]) -> str:
    """Each median by itself."""
    wall, cpu = (statistics.median(column) for column in zip(*map(astuple, runs), strict=True))
    return f"{wall:,.0f} ({cpu:,.0f})"


def run(command: Sequence[str]) -> Ran:
    """Raises SystemExit where it neither shows the fleet nor says that somebody is behind."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    ended = subprocess.run(command, capture_output=True, timeout=60)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if ended.returncode not in (0, 1) or not ended.stdout:
        raise SystemExit(f"{ended.returncode}: {ended.stderr[-300:]!r}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ran(wall * 1000, cpu * 1000)


def measured(dsn: str, size: int) -> list[str]:
    """One line of the table."""
    subject = Subject(dsn, size)
    writer = AuditBatchWriter(dsn, "bench", time.monotonic)
    parts = iter(range(1_000_000))

    def batch() -> None:
        writer.write(batch_of(subject.grants(next(parts))), soon())

    for _ in range(subject.size // BATCH + 1):
        batch()
    written = milliseconds(batch, 20)
    writer.close()
    fleet = PostgresFleet(fleet_connection(dsn))

    def moment() -> FleetMoment:
        return fleet.of_domain(subject.domain, soon())

    read = milliseconds(moment, 9)
    whole = milliseconds(lambda: fleet_status(moment(), 300.0), 9)
    command = [SCRIPT, "fleet", "status", "--domain", str(subject.domain), "--dsn", dsn]
    plain = median_run([run(command) for _ in range(RUNS)])
    as_json = median_run([run([*command, "--json"]) for _ in range(RUNS)])
    return [f"{size:,}", *(f"{figure:,.1f}" for figure in (written, read, whole)), plain, as_json]


def fleet_table(sizes: Sequence[int]) -> Table:
    parts = (f"batch of {BATCH}", "read", "and compared", "plain (CPU)", "--json (CPU)")
    table = Table("Nodes", *parts, title="fleet status, ms")
    with own_postgres() as postgres:
        dsn = postgres.fresh_database()
        migrate(dsn)
        for size in sizes:
            table.add_row(*measured(dsn, size))
    return table
