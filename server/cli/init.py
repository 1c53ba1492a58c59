"""``plexsphere-state init``: from a blank Postgres and SpiceDB to a service that can start."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.contact import first_contact
from server.cli.failures import ExitCode, Failure
from server.cli.keygen import JWKS

if TYPE_CHECKING:
    from server.settings import Settings

EXAMPLE = "plexsphere-state init --manager user:ann --folder /etc/plexsphere-state"
KEY, ENV = "signing-key.json", "plexsphere-state.env"
SECONDS = 10.0
WITHOUT_NATS = """\
# For event streams: the servers of one NATS cluster, and a file with `user:password`.
#PLEXSPHERE_NATS_URL=nats://nats.example:4222
#PLEXSPHERE_NATS_CREDENTIALS=/etc/plexsphere-state/nats-credentials
"""


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
    with the environment of the service, with a new PLEXSPHERE_EVENT_KEK in it. Files that exist
    stay as they are.

    The steps are also commands of their own: migrate, authz schema, keygen, grant.
    """
    from server.cli.authz.schema import bring_up_schema
    from server.cli.migrate import migrate
    from server.cli.roles import change_role
    from server.settings import read_settings

    settings = read_settings(tokenless=True)
    if settings.signing_key.startswith("{"):
        sentence = (
            "PLEXSPHERE_SIGNING_KEY is the key itself: write it to a file, for its owner alone, "
            "and set the variable to that file."
        )
        raise Failure(sentence, ExitCode.USAGE)
    first_contact(settings.dsn, settings.spicedb)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    key = Path(settings.signing_key or folder / KEY).absolute()
    migrate(settings.dsn)
    typer.echo(bring_up_schema(settings))
    typer.echo(_ensure_key(key, folder / JWKS))
    change_role(manager, "manage", "platform", granted=True, as_json=False)
    env = folder / ENV
    if env.exists():
        typer.echo(f"kept {env}")
    else:
        own = {"SIGNING_KEY": str(key), "JWT_ISSUER": issuer, "JWT_AUDIENCE": audience}
        typer.echo(_write_environment(env, own, settings))
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


def _write_environment(env: Path, own: dict[str, str], settings: Settings) -> str:
    from server.events.keys import new_kek
    from server.replaced_files import replace_file
    from server.settings import PREFIX, set_variables

    values = {**set_variables(), **{PREFIX + name: value for name, value in own.items()}}
    notes = [f"wrote {env}, which only its owner can read"]
    if settings.event_kek:
        notes.append("PLEXSPHERE_EVENT_KEK is that of this shell")
    elif _has_event_keys(settings.dsn):
        notes.append(
            "left PLEXSPHERE_EVENT_KEK out, because the ledger has event keys: put the value of "
            f"the other instances into {env}"
        )
    else:
        values[f"{PREFIX}EVENT_KEK"] = new_kek()
        notes.append(
            "made PLEXSPHERE_EVENT_KEK: keep a copy of it elsewhere, because a lost value cannot "
            "be replaced"
        )
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in values.items()]
    if not settings.nats_url:
        lines.append(WITHOUT_NATS)
        notes.append(f"event streams need NATS with JetStream: two lines at the end of {env}")
    replace_file(env, "".join(lines).encode())
    return "\n".join(notes)


def _has_event_keys(dsn: str) -> bool:
    from composer.deadline import Deadline
    from db.connections import ReadSession, SingleConnection
    from db.event_keys import has_event_keys

    name = "plexsphere-state init"
    connection = SingleConnection(dsn, ReadSession, application_name=name, keep=False)
    return has_event_keys(connection, Deadline.after(SECONDS, time.monotonic))
