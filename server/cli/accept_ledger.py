"""``plexsphere-state accept-ledger``: takes the ledger as it is, after a restore on purpose."""

from __future__ import annotations

import time
from contextlib import closing

import typer

from server.cli.contact import answering_dsn
from server.cli.failures import ExitCode, Failure
from server.cli.options import Dsn

EXAMPLE = "plexsphere-state accept-ledger"
SECONDS = 3.0


def accept_ledger(dsn: Dsn = "") -> None:
    """Accept a ledger that is older than what this host has served, after a restore on purpose.

    Run it on every host after a restore, where pulls are 503 `ledger_behind`. Nodes may then see
    state that is older than what they had. It changes PLEXSPHERE_POSITION_FILE, which the running
    service reads at once; where that is not set, restart the service instead.
    """
    from composer.deadline import Deadline
    from db.connections import ReadSession, SingleConnection
    from db.positions import Positions, server_in
    from server.settings import read_settings

    ledger, file = answering_dsn(dsn), read_settings(ledger_only=True).position_file
    if not file:
        raise Failure(
            "PLEXSPHERE_POSITION_FILE is not set: a restart of the service accepts every ledger.",
            ExitCode.USAGE,
        )
    name = "plexsphere-state accept-ledger"
    positions = Positions.of_service(file)
    with (
        closing(SingleConnection(ledger, ReadSession, application_name=name)) as connection,
        connection.session(Deadline.after(SECONDS, time.monotonic)) as session,
    ):
        server, fault = positions.compared(lambda: server_in(session))
    if server.is_standby:
        raise Failure("Postgres is a standby there: accept its primary.", ExitCode.REFUSED)
    positions.accept(server)
    typer.echo(f"accepted: {fault}" if fault else "accepted; nothing was missing")
