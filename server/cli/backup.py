"""``plexsphere-state backup``: a dump of the ledger, and the digests of its pulls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode, Failure
from server.cli.formats import counted
from server.cli.options import Dsn

EXAMPLE = "plexsphere-state backup ledger.dump"


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The dump; it must not exist.")],
    dsn: Dsn = "",
) -> None:
    """Dump the ledger, while the service runs, with the digest of each Node's pull beside it.

    FILE is a dump of pg_dump in its custom format. FILE.digests has the digest of every pull, from
    the same moment as the dump; `restore` proves that the restored ledger has them. It needs the
    owner's role, and pg_dump of Postgres' version or newer.

    The signing key and PLEXSPHERE_EVENT_KEK are not in it: keep copies of both elsewhere.
    """
    from db.backup import exported_moment
    from server.cli.postgres_programs import run_program
    from server.cli.pull_digests import digests_file, pull_digests, write_digests

    ledger, digests = answering_dsn(dsn), digests_file(file)
    for path in (file, digests):
        if path.exists():
            raise Failure(f"{path} exists: choose another name.", ExitCode.USAGE)
    partial = file.with_name(f"{file.name}.partial")
    try:
        partial.touch(mode=0o600)
        with exported_moment(ledger) as (connection, moment):
            found = pull_digests(connection)
            options = ("--format=custom", "--schema=plexsphere", f"--snapshot={moment}")
            run_program("pg_dump", ledger, *options, f"--file={partial}")
        write_digests(digests, found)
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
    typer.echo(f"wrote {file} and the digests of {counted(len(found), 'pull')} to {digests}")
