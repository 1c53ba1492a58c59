"""``fleet`` and its subcommands: a whole Domain at once."""

from __future__ import annotations

import gc
import re
import time
from typing import Annotated
from uuid import UUID

import typer

from composer.deadline import Deadline
from composer.errors import DomainNotFound
from server.cli.failures import ExitCode, Failure
from server.cli.fleet_history import EXAMPLE as HISTORY_EXAMPLE
from server.cli.fleet_history import READ_SECONDS, history
from server.cli.fleet_simulate import EXAMPLE, simulate
from server.cli.groups import Example
from server.cli.options import AsJson, Dsn, domain_id, usable_dsn
from server.cli.screens import Screen, write_json

WORDS = "A whole Domain at once."
_AGE = re.compile(r"([0-9]{1,9})(s|m|h|d)?", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

Domain = Annotated[
    str,
    typer.Option(
        "--domain", envvar="PLEXSPHERE_DOMAIN_ID", help="The Domain's id.", show_default=False
    ),
]


def status(
    domain: Domain,
    max_age: Annotated[
        str, typer.Option("--max-age", help="How long is too long: 300s, 5m, 2h, 1d.")
    ] = "5m",
    limit: Annotated[int, typer.Option(min=0, help="How many of the worst; 0 is all.")] = 100,
    dsn: Dsn = "",
    as_json: AsJson = False,
) -> None:
    """Show who runs the desired state: for every Node what it was last granted.

    A Node is current when that is what a pull would give it now, but for the verdict on its own
    reachability, and behind when not; never when it was granted nothing yet, and corrupt when its
    rows make no snapshot.

    How long it is without its desired state is known as "at most": since its last grant, or its
    registration. An agent that pulls every 60 s is behind for a minute at most.

    --max-age is for that "at most", not for silence: a Node that is current is never too late,
    whenever it was last heard of. The exit code is 1 when any Node is without its desired state
    for longer. Below the interval of the pulls (60 s) healthy Nodes count too.

    A grant is what the Node's own agent pulled: what anybody else pulls in its place, and what a
    HEAD asks, tells nothing of what it runs.

    Grants are known from the audit: a service with PLEXSPHERE_AUDIT=0 leaves nothing to go by.
    """
    from db.connections import OneReader
    from db.fleet import PostgresFleet
    from server.cli.fleet_screen import render
    from server.cli.fleet_states import fleet_status

    addressed, age = domain_id(domain, "--domain"), seconds_of(max_age)
    reader = OneReader(usable_dsn(dsn), "plexsphere-state fleet")
    deadline = Deadline.after(READ_SECONDS, time.monotonic)
    # A Domain is a hundred thousand small values at once, and none of them is a cycle: neither now
    # nor later is there anything to collect.
    gc.disable()
    try:
        found_at = PostgresFleet(reader).of_domain(UUID(addressed), deadline)
        found = fleet_status(found_at, age)
    except DomainNotFound as error:
        raise Failure(f"the ledger has no Domain {addressed}.") from error
    finally:
        gc.freeze()
        gc.enable()
    if as_json:
        write_json(found.to_json())
    else:
        Screen().print_all(render(found, limit))
    if found.late:
        raise typer.Exit(ExitCode.DIFFERENT)


def seconds_of(text: str) -> int:
    """``300``, ``300s``, ``5m``, ``2h``, ``1d``."""
    match = _AGE.fullmatch(text)
    if match is None:
        sentence = f"--max-age is to be a time such as 300s, 5m, 2h or 1d, and is {text!r}."
        raise Failure(sentence, ExitCode.USAGE)
    return int(match[1]) * _SECONDS[match[2] or "s"]


# A subcommand is a line.
COMMANDS: tuple[Example, ...] = (
    (simulate, EXAMPLE),
    (status, "plexsphere-state fleet status --domain $PLEXSPHERE_DOMAIN_ID --max-age 10m"),
    (history, HISTORY_EXAMPLE),
)
