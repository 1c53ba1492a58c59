"""``plexsphere-state token``: a token signed with the service's own key."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.failures import ExitCode, Failure

EXAMPLE = "plexsphere-state token user:ada --ttl 600"


def token(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT", help="The token's subject: node:<uuid>, service:<id> or user:<id>."
        ),
    ],
    ttl: Annotated[int, typer.Option(min=1, help="Seconds until it expires.")] = 24 * 3600,
    signing_key: Annotated[
        str,
        typer.Option(
            envvar="PLEXSPHERE_SIGNING_KEY",
            help="A private JWK or a set of them: a file, or JSON; the first signs.",
            show_default=False,
        ),
    ] = "",
    issuer: Annotated[
        str,
        typer.Option(envvar="PLEXSPHERE_JWT_ISSUER", help="The claim iss.", show_default=False),
    ] = "",
    audience: Annotated[
        str,
        typer.Option(envvar="PLEXSPHERE_JWT_AUDIENCE", help="The claim aud.", show_default=False),
    ] = "",
) -> None:
    """Print a token signed with the service's own key.

    Where another service issues the tokens of people (PLEXSPHERE_JWKS), this one is for Nodes.
    """
    from server.authn.tokens import parse_subject
    from server.dev.keys import AUDIENCE, ISSUER, NotASigningKey, mint

    if parse_subject(subject) is None:
        raise Failure(
            f"SUBJECT must be node:<uuid>, service:<id> or user:<id>, and is {subject!r}.",
            ExitCode.USAGE,
        )
    if not signing_key:
        raise Failure(
            "PLEXSPHERE_SIGNING_KEY is not set: `plexsphere-state init` and `make run` make a key, "
            "and name it in the file of the environment.",
            ExitCode.USAGE,
        )
    try:
        minted = mint(
            signing_key,
            subject,
            ttl=ttl,
            issuer=issuer or ISSUER,
            audience=audience or AUDIENCE,
        )
    except NotASigningKey as error:
        raise Failure(f"{error}.", ExitCode.USAGE) from error
    typer.echo(minted)
