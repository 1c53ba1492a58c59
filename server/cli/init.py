"""``plexsphere-state init``: from a blank Postgres and SpiceDB to a service that can start."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "plexsphere-state init --manager user:ann --folder /etc/plexsphere-state"
KEY, JWKS, ENV = "signing-key.json", "jwks.json", "plexsphere-state.env"


def init(
    manager: Annotated[
        str, typer.Option(metavar="SUBJECT", help="The first manager: user:<id> or service:<id>.")
    ],
    folder: Annotated[
        Path, typer.Option(help="The folder for the key and the environment; made where missing.")
    ] = Path("."),
    issuer: Annotated[
        str, typer.Option(envvar="PLEXSPHERE_JWT_ISSUER", help="The iss of accepted tokens.")
    ] = "plexsphere-state",
    audience: Annotated[
        str, typer.Option(envvar="PLEXSPHERE_JWT_AUDIENCE", help="The aud of accepted tokens.")
    ] = "plexsphere-state",
) -> None:
    """Prepare a blank Postgres and a blank SpiceDB for the service; harmless to repeat.

    Needs PLEXSPHERE_DSN and PLEXSPHERE_SPICEDB_*. It migrates the ledger, writes SpiceDB's schema,
    makes a signing key with its public JWKS, gives the first manager the role, and writes a file
    with the environment of the service. Files that exist stay as they are.

    The steps are also commands of their own: migrate, authz schema, keygen, grant.
    """
    from server.cli.authz.schema import bring_up_schema
    from server.cli.migrate import migrate
    from server.cli.roles import change_role
    from server.settings import read_settings

    settings = read_settings(tokenless=True)
    folder.mkdir(parents=True, exist_ok=True)
    key = Path(settings.signing_key or folder / KEY).absolute()
    migrate(settings.dsn)
    typer.echo(bring_up_schema(settings))
    typer.echo(_ensure_key(key, folder / JWKS))
    change_role(manager, "manage", "platform", granted=True, as_json=False)
    env = folder / ENV
    typer.echo(_ensure_environment(env, key, issuer, audience))
    typer.echo(
        f"\nNext: set -a; . {shlex.quote(str(env))}; set +a\n"
        "Then run `plexsphere-state serve`, `plexsphere-state relay` and "
        "`plexsphere-state evaluator`; `plexsphere-state doctor` checks them.\n"
        f"A token for the manager: plexsphere-state token {shlex.quote(manager)} --ttl 600"
    )


def _ensure_key(key: Path, jwks: Path) -> str:
    from server.authn.signing import new_key, write_jwks_file, write_key_file

    is_new = not key.exists()
    if is_new:
        write_key_file(key, [new_key("EdDSA")], like=None)
    write_jwks_file(jwks, key)
    return f"{'made' if is_new else 'kept'} the signing key {key}; its public keys are in {jwks}"


def _ensure_environment(env: Path, key: Path, issuer: str, audience: str) -> str:
    from server.authn.signing import replace_file
    from server.settings import set_variables

    if env.exists():
        return f"kept {env}"
    values = {
        **set_variables(),
        "PLEXSPHERE_SIGNING_KEY": str(key),
        "PLEXSPHERE_JWT_ISSUER": issuer,
        "PLEXSPHERE_JWT_AUDIENCE": audience,
    }
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
    replace_file(env, "".join(lines))
    return f"wrote {env}, which only its owner can read"
