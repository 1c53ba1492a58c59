"""``keygen``: a signing key for PLEXSPHERE_SIGNING_KEY, and the steps of its rotation."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from server.cli.failures import ExitCode, Failure

EXAMPLE = (
    "plexsphere-state keygen signing-key.json\n\n"
    "plexsphere-state keygen signing-key.json --step add"
)


class Algorithm(StrEnum):
    """The algorithm of a key."""

    EDDSA = "EdDSA"
    ES256 = "ES256"
    RS256 = "RS256"


class KeyFileStep(StrEnum):
    """A step of the rotation."""

    NEW = "new"
    ADD = "add"
    PROMOTE = "promote"
    RETIRE = "retire"


def keygen(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file with the key or keys.")],
    step: Annotated[
        KeyFileStep,
        typer.Option(
            help="new: make the file, with a key; add: add a key, which is trusted and does not "
            "sign yet; promote: the newest key signs; retire: remove the keys that do not sign.",
        ),
    ] = KeyFileStep.NEW,
    algorithm: Annotated[Algorithm, typer.Option(help="Algorithm of a new key.")] = Algorithm.EDDSA,
    jwks: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the public keys there, as a JWKS.", show_default=False
        ),
    ] = None,
) -> None:
    """Make a signing key, or rotate it; prints the kids in the file, the signing key's first.

    The file is replaced atomically, and only its owner can read it. Private parts are never
    printed. The service itself needs no --jwks: it publishes its public keys as a JWKS.
    """
    from server.authn.signing import new_key, read_key_file, write_jwks_file, write_key_file

    if step is KeyFileStep.NEW and file.exists():
        raise Failure(f"{file} exists: --step add adds a key to it.", ExitCode.USAGE)
    try:
        keys = [] if step is KeyFileStep.NEW else read_key_file(file)
    except ValueError as error:
        raise Failure(f"{file} holds no signing keys: {error}.", ExitCode.USAGE) from error
    if step in (KeyFileStep.NEW, KeyFileStep.ADD):
        keys = [*keys, new_key(algorithm)]
    elif step is KeyFileStep.PROMOTE:
        keys = [keys[-1], *keys[:-1]]
    else:
        keys = keys[:1]
    owner = None if step is KeyFileStep.NEW else os.stat(file)
    write_key_file(file, keys, owner)
    if jwks is not None:
        write_jwks_file(jwks, file)
    for key in keys:
        typer.echo(key["kid"])
