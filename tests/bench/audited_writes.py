"""Writes a second by threads that each have a Domain of their own: with one lock for all writers of
audit rows and without, in turns on one Postgres.

    .venv/bin/python -m tests.bench.audited_writes [--threads 16] [--seconds 3] [--turns 3]

It shows what the order of audit rows costs the writes (decision 0071).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.entries import REPORT, EntryRow
from composer.identity import AddressedNode
from db.entries import PostgresEntries
from db.migrate import migrate
from db.pool import write_pool
from tests.integration.ledger_fixtures import own_postgres
from tests.integration.ledger_rows import Hand

LOCK = """
CREATE FUNCTION public.take_turn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1);
    RETURN NULL;
END;
$$;
CREATE TRIGGER a_turn BEFORE INSERT ON plexsphere.audit_rows
FOR EACH STATEMENT EXECUTE FUNCTION public.take_turn();
"""
UNLOCK = "DROP TRIGGER a_turn ON plexsphere.audit_rows; DROP FUNCTION public.take_turn();"
WRITE = AuditedWrite("report.put", "report.put", "user:bench", "")


def nodes(dsn: str, count: int) -> list[AddressedNode]:
    with closing(Hand(dsn)) as hand:
        domains = [hand.domain() for _ in range(count)]
        return [AddressedNode(hand.node(domain), domain, None) for domain in domains]


@contextmanager
def one_lock(dsn: str) -> Iterator[None]:
    """While it lasts, each writer of audit rows waits until the one before has committed."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as used:
        used.execute(LOCK)
        connection.commit()
        try:
            yield
        finally:
            used.execute(UNLOCK)
            connection.commit()


def puts_per_second(entries: PostgresEntries, homes: list[AddressedNode], seconds: float) -> float:
    end = time.monotonic() + seconds

    def put(node: AddressedNode) -> int:
        count = 0
        while time.monotonic() < end:
            row = EntryRow(REPORT, "a", str(count))
            entries.put(node, row, WRITE, Deadline.after(30.0, time.monotonic))
            count += 1
        return count

    with ThreadPoolExecutor(len(homes)) as threads:
        return sum(threads.map(put, homes)) / seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    with own_postgres() as postgres:
        dsn = postgres.fresh_database()
        migrate(dsn)
        homes = nodes(dsn, options.threads)
        pool = write_pool(dsn, size=options.threads, statement_timeout=30.0, lock_timeout=30.0)
        entries = PostgresEntries(pool, report_quota=9, entry_quota=9)
        puts_per_second(entries, homes, 1.0)
        for _ in range(options.turns):
            with one_lock(dsn):
                waiting = puts_per_second(entries, homes, options.seconds)
            free = puts_per_second(entries, homes, options.seconds)
            print(f"puts a second: with one lock {waiting:,.0f}, without {free:,.0f}", flush=True)
        pool.close()
    print("load average", *os.getloadavg(), "on", os.cpu_count(), "cores")


if __name__ == "__main__":
    main()
