"""``plexsphere-state enrol token``: a bootstrap token, with which an agent enrols one Node."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from uuid import UUID, uuid4

import typer

from server.cli.failures import ExitCode, Failure
from server.cli.options import AsJson, Operator, Url, domain_id, seconds
from server.cli.screen import write_json

EXAMPLE = (
    "plexsphere-state enrol token --domain $PLEXSPHERE_DOMAIN_ID "
    "--project 0190c000-0000-7000-8000-00000000aaaa --ttl 1h > token"
)


def token(
    domain: Annotated[
        str,
        typer.Option(
            "--domain", envvar="PLEXSPHERE_DOMAIN_ID", help="The Domain.", show_default=False
        ),
    ],
    project: Annotated[
        str,
        typer.Option(
            "--project", help="Project that the agent must name.", show_default="a new id"
        ),
    ] = "",
    ttl: Annotated[
        str, typer.Option("--ttl", metavar="TIME", help="Time of the token: 5m to 24h.")
    ] = "1h",
    handle: Annotated[
        str,
        typer.Option("--handle", help="The only resource handle to enrol.", show_default="any"),
    ] = "",
    operator: Operator = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Print a bootstrap token of a Domain. It is shown once, and enrols one Node, once.

    The caller (--operator) must have domain-edit in the Domain, also when the token is used: a
    token ends with the role of its issuer. Without --project stderr has the id of a new project.
    """
    from server.cli.addresses import service_url
    from server.cli.service import ServiceAccess, post

    body: dict[str, object] = {
        "project_id": _project(project or str(uuid4())),
        "ttl_seconds": _lifetime(ttl),
        **({"resource_handle": handle} if handle else {}),
    }
    path = f"/v1/domains/{domain_id(domain, '--domain')}/bootstrap-tokens"
    issued = post(ServiceAccess(service_url(url), operator), path, body)
    if as_json:
        write_json(issued)
    else:
        print(issued["token"])
        if not project:
            typer.echo(f"project {body['project_id']}", err=True)


def _project(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        sentence = f"--project must be a UUID, and is {text!r}."
        raise Failure(sentence, ExitCode.USAGE) from error


def _lifetime(text: str) -> int:
    from composer.enrolment import LONGEST_LIFETIME, SHORTEST_LIFETIME

    found = seconds(text, "--ttl")
    if not SHORTEST_LIFETIME <= timedelta(seconds=found) <= LONGEST_LIFETIME:
        raise Failure(f"--ttl must be from 5m to 24h, and is {text}.", ExitCode.USAGE)
    return found
