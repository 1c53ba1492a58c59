"""Write every golden body anew: `python -m tests.golden.write`, then read the diff.

The writer is the second implementation (`tests/oracle.py`), over a Postgres of its own.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import psycopg2

from db.migrate import migrate
from server.dev.parts import Part
from server.dev.ports import free_ports
from server.dev.postgres import Cluster
from tests.golden import goldens
from tests.ledger_tables import load
from tests.oracle import expected_body

OWN = Path(__file__).resolve().parents[2] / ".dev" / "golden"


def main() -> int:
    cluster = Cluster(OWN, free_ports(1)[0])
    cluster.create()
    part = Part("postgres", cluster.port, signal.SIGINT, cluster.start, cluster.wait_ready)
    try:
        part.start()
        cluster.recreate_database()
        migrate(cluster.dsn)
        return write(cluster.dsn)
    finally:
        part.stop()


def write(dsn: str) -> int:
    """Say what changed; 0, for nothing here can be wrong: the reader of the diff decides."""
    connection = psycopg2.connect(dsn)
    for golden in goldens():
        with connection.cursor() as cursor:
            load(cursor, golden.tables)
        for old in golden.body_files() - {golden.body_file(name) for name in golden.pulled}:
            old.unlink()
            print(f"gone     {old.relative_to(OWN.parents[1])}")
        for name, node_id in golden.pulled.items():
            path, body = golden.body_file(name), expected_body(connection, node_id)
            if not path.exists() or path.read_bytes() != body:
                path.write_bytes(body)
                print(f"written  {path.relative_to(OWN.parents[1])}")
    connection.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
