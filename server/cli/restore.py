"""``plexsphere-state restore``: a dump becomes a ledger, and SpiceDB follows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from server.cli.contact import first_contact
from server.cli.failures import ExitCode, Failure
from server.cli.formats import counted

EXAMPLE = "plexsphere-state restore ledger.dump"
SHOWN = 5  # Nodes


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A dump that `backup` wrote.")],
) -> None:
    """Restore a backup into a new database, and prove that every pull is that of the backup.

    Needs PLEXSPHERE_DSN, with the owner's role and without a ledger yet, and PLEXSPHERE_SPICEDB_*;
    SpiceDB may be blank. Restores the dump in one transaction, migrates, writes SpiceDB's schema,
    drains the outbox, and makes SpiceDB's relationships those of the ledger. Then it compares the
    digest of each Node's pull with FILE.digests. Exit code 1 on a difference.

    Before it, stop whatever writes to the old ledger. After it, revoke again what was revoked since
    the backup, then start the service.
    """
    from db.backup import make_schema
    from db.fleet import fleet_connection
    from db.migrate import schema_version
    from server.cli.authz.repair import repair
    from server.cli.authz.schema import bring_up_schema
    from server.cli.migrate import migrate
    from server.cli.postgres_programs import run_program
    from server.cli.pull_digests import digests_file, pull_digests, read_digests
    from server.cli.relay import relay
    from server.settings import read_settings

    settings = read_settings(tokenless=True)
    expected = read_digests(digests_file(file))
    first_contact(settings.dsn, settings.spicedb)
    if schema_version(settings.dsn):
        sentence = "the database of PLEXSPHERE_DSN has a ledger already: restore into a new one."
        raise Failure(sentence, ExitCode.DIFFERENT)
    make_schema(settings.dsn)
    options = ("--single-transaction", "--no-owner", "--no-acl", "--schema=plexsphere")
    run_program("pg_restore", settings.dsn, *options, str(file))
    typer.echo(f"restored {file}")
    migrate(settings.dsn)
    typer.echo(bring_up_schema(settings))
    relay(once=True)
    repair()
    _prove(expected, pull_digests(fleet_connection(settings.dsn)))


def _prove(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    nodes = expected.keys() | found.keys()
    differing = sorted(node for node in nodes if expected.get(node) != found.get(node))
    if differing:
        more = f" and {len(differing) - SHOWN:,} more" if len(differing) > SHOWN else ""
        first = ", ".join(differing[:SHOWN])
        sentence = f"the pulls of {counted(len(differing), 'Node')} differ: {first}{more}."
        raise Failure(sentence, ExitCode.DIFFERENT)
    typer.echo(f"every pull is that of the backup: {counted(len(found), 'Node')}")
