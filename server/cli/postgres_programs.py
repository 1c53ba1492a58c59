"""pg_dump and pg_restore, which Postgres' client packages install."""

from __future__ import annotations

import shutil
import subprocess

from server.cli.failures import ExitCode, Failure


def run_program(name: str, dsn: str, *arguments: str) -> None:
    """Run it on a database. The password goes through its environment, which ps does not show."""
    from db.dsn import without_password
    from server.settings import environment_with

    program = shutil.which(name)
    if program is None:
        sentence = f"{name} is not on the PATH: install the client programs of Postgres."
        raise Failure(sentence, ExitCode.USAGE)
    database, password = without_password(dsn)
    command = [program, "--dbname", database, *arguments]
    environment = environment_with(PGPASSWORD=password) if password else None
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{name} failed: {' '.join(done.stderr.split()) or done.returncode}.")
