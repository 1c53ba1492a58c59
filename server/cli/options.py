"""The options that several commands share, each with the variable that ``.dev/env`` sets."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from server.cli.failures import ExitCode, Failure

DEFAULT_URL = "http://127.0.0.1:8080"

Url = Annotated[
    str,
    typer.Option("--url", envvar="PLEXSPHERE_URL", help="Where the service answers."),
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="PLEXSPHERE_TOKEN",
        help="Bearer token; rather set the variable, which `ps` does not show.",
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
        sentence = f"{name} is to be the UUID of a {kind}, and is {text!r}."
        raise Failure(sentence, ExitCode.USAGE) from error
    if value.int == 0:
        raise Failure(f"{name} is the nil UUID, which no {kind} has.", ExitCode.USAGE)
    return str(value)


def usable_dsn(text: str) -> str:
    """``text``, when it is a DSN."""
    from db.dsn import is_dsn

    if not text:
        raise Failure(
            "PLEXSPHERE_DSN is not set: export it (`. .dev/env` beside `make run`) or give --dsn.",
            ExitCode.USAGE,
        )
    if not is_dsn(text):
        raise Failure(
            "PLEXSPHERE_DSN is malformed: it is to be like postgresql://user@host:5432/name.",
            ExitCode.USAGE,
        )
    return text
