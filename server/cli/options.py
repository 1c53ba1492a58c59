"""Options that several commands share, each with the variable that ``.dev/env`` sets."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer

from server.cli.failures import ExitCode, Failure

Node = Annotated[
    str,
    typer.Argument(
        metavar="NODE", envvar="PLEXSPHERE_NODE_ID", help="The Node's id.", show_default=False
    ),
]
Url = Annotated[
    str,
    typer.Option(
        "--url",
        envvar="PLEXSPHERE_URL",
        help="The service's URL.",
        show_default="where PLEXSPHERE_BIND listens",
    ),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="PLEXSPHERE_TOKEN",
        help="Bearer token; prefer the variable, which `ps` does not show.",
        show_default=False,
    ),
]
Operator = Annotated[
    str,
    typer.Option(
        "--operator",
        envvar="PLEXSPHERE_OPERATOR_TOKEN",
        help="Token of a caller with a role; prefer the variable, which `ps` does not show.",
        show_default=False,
    ),
]
Dsn = Annotated[
    str,
    typer.Option(
        "--dsn", envvar="PLEXSPHERE_DSN", help="The ledger in Postgres.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for scripts.")]
OlderThan = Annotated[
    str, typer.Option("--older-than", metavar="AGE", help="Days or weeks: 30d, 4w.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove the rows; else show them.")]

_DAYS_OR_WEEKS = re.compile(r"([1-9][0-9]{0,4})([dw])", re.ASCII)
_DAYS = {"d": 1, "w": 7}
_TIME = re.compile(r"([0-9]{1,9})([smhd])?", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def node_id(text: str, name: str = "NODE") -> str:
    """The canonical spelling of a Node's id, from any spelling of a UUID."""
    return _id(text, name, "Node")


def domain_id(text: str, name: str = "DOMAIN") -> str:
    """The canonical spelling of a Domain's id, from any spelling of a UUID."""
    return _id(text, name, "Domain")


def _id(text: str, name: str, kind: str) -> str:
    try:
        value = UUID(text.strip().removeprefix(f"{kind.lower()}:"))
    except ValueError as error:
        sentence = f"{name} must be the UUID of a {kind}, and is {text!r}."
        raise Failure(sentence, ExitCode.USAGE) from error
    if value.int == 0:
        raise Failure(f"{name} is the nil UUID, which no {kind} has.", ExitCode.USAGE)
    return str(value)


def usable_dsn(text: str) -> str:
    """``text``, when it is a DSN over which a password may go."""
    from server.settings import dsn_complaint

    if not text:
        raise Failure(
            "PLEXSPHERE_DSN is not set: export it (`. .dev/env` beside `make run`) or give --dsn.",
            ExitCode.USAGE,
        )
    if fault := dsn_complaint(text):
        raise Failure(f"PLEXSPHERE_DSN {fault}.", ExitCode.USAGE)
    return text


def days_or_weeks(text: str, name: str) -> timedelta:
    """``30d`` or ``4w``: at least a day, because rows are removed by whole days."""
    match = _DAYS_OR_WEEKS.fullmatch(text)
    if match is None:
        sentence = f"{name} must be days or weeks, such as 30d or 4w, and is {text!r}."
        raise Failure(sentence, ExitCode.USAGE)
    return timedelta(days=int(match[1]) * _DAYS[match[2]])


def seconds(text: str, name: str) -> int:
    """``300``, ``300s``, ``5m``, ``2h``, ``1d``."""
    match = _TIME.fullmatch(text)
    if match is None:
        sentence = f"{name} must be a time such as 300s, 5m, 2h or 1d, and is {text!r}."
        raise Failure(sentence, ExitCode.USAGE)
    return int(match[1]) * _SECONDS[match[2] or "s"]
