"""Write db/schema.sql anew: `make schema`. It is the ledger as the migrations leave it.

The embedded server's own pg_dump prints it, so its form does not depend on the machine.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from db.migrate import migrate
from server.dev.postgres import binary
from tests.integration.ledger_fixtures import own_postgres

SCHEMA = Path(__file__).resolve().parents[2] / "db" / "schema.sql"
HEADER = """\
-- The ledger as the migrations leave it; `make schema` writes this file. To change the schema, add
-- a migration. The comments of a migration say why its tables, columns and indexes exist.
"""
# What pg_dump prints for the program that restores a dump, or about the dump itself.
NOISE = re.compile(
    r"^(\\(un)?restrict |-- (Dumped|PostgreSQL database dump)|SELECT pg_catalog\.set_config\("
    r"|SET [a-z_]+ = [^\n]*;$)[^\n]*\n",
    re.MULTILINE,
)
COMMENT = re.compile(r"^--\n(-- Name: [^\n]*\n--\n)?", re.MULTILINE)


def dumped(dsn: str) -> str:
    """The schema of a database as the file holds it."""
    command = [binary("pg_dump"), "--schema-only", "--schema=plexsphere", "--no-owner"]
    done = subprocess.run(
        [*command, f"--dbname={dsn}"], capture_output=True, text=True, timeout=60, check=True
    )
    text = COMMENT.sub("", NOISE.sub("", done.stdout))
    return HEADER + "\n" + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main() -> None:
    with own_postgres() as postgres:
        dsn = postgres.fresh_database()
        migrate(dsn)
        SCHEMA.write_text(dumped(dsn), encoding="utf-8")


if __name__ == "__main__":
    main()
