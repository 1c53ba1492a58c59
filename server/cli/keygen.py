"""``keygen``: a signing key for PLEXSPHERE_SIGNING_KEY, and the steps of its rotation."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Set
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from server.cli.failures import ExitCode, Failure

EXAMPLE = (
    "plexsphere-state keygen signing-key.json\n\n"
    "plexsphere-state keygen signing-key.json --step add"
)
# The public keys beside a key file, as `init` writes them.
JWKS = "jwks.json"


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
            metavar="FILE",
            help="Write the public keys there, as a JWKS.",
            show_default="jwks.json beside the keys, where it has only keys of theirs",
        ),
    ] = None,
) -> None:
    """Make a signing key, or rotate it; prints the kids in the file, the signing key's first.

    The file is replaced atomically, and only its owner can read it. Private parts are never
    printed. Each step but add may be repeated.

    The service itself needs no JWKS file: it publishes its public keys at /.well-known/jwks.json.
    The jwks.json that init wrote beside the keys follows each step.
    """
    from server.authn.signing import new_key, read_key_file, write_jwks_file, write_key_file

    if step is KeyFileStep.NEW and file.exists():
        raise Failure(f"{file} exists: --step add adds a key to it.", ExitCode.USAGE)
    try:
        keys = [] if step is KeyFileStep.NEW else read_key_file(file)
    except ValueError as error:
        raise Failure(f"{file} holds no signing keys: {error}.", ExitCode.USAGE) from error
    before = [key["kid"] for key in keys]
    if step in (KeyFileStep.NEW, KeyFileStep.ADD):
        latest = max((_made_at(key) for key in keys), default=0)
        keys = [*keys, new_key(algorithm) | {"iat": max(int(time.time()), latest + 1)}]
    elif step is KeyFileStep.PROMOTE:
        newest = max(reversed(keys), key=_made_at)
        keys = [newest, *(key for key in keys if key is not newest)]
    else:
        keys = keys[:1]
    owner = None if step is KeyFileStep.NEW else os.stat(file)
    write_key_file(file, keys, owner)
    jwks = jwks or _jwks_beside(file, {*before, *(key["kid"] for key in keys)})
    if jwks is not None:
        write_jwks_file(jwks, file)
        typer.echo(f"the public keys are in {jwks}", err=True)
    for key in keys:
        typer.echo(key["kid"])


def _made_at(key: Mapping[str, Any]) -> int:
    """A key of another program may lack the time: it is older than ours."""
    made_at = key.get("iat")
    return made_at if isinstance(made_at, int) else 0


def _jwks_beside(file: Path, kids: Set[str]) -> Path | None:
    """The JWKS beside the key file, where it has no key but those with ``kids``."""
    beside = file.parent / JWKS
    try:
        found = {key["kid"] for key in json.loads(beside.read_text())["keys"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if found <= kids:
        return beside
    typer.echo(f"left {beside} as it is: it has other keys too; --jwks replaces it", err=True)
    return None
