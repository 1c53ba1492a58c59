"""``plexsphere-state enrol files``: the identity of a Node, in the files that its agent reads."""

from __future__ import annotations

import json
import os
import secrets
import stat
import time
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from server.cli.contact import first_contact
from server.cli.failures import ExitCode, Failure
from server.cli.options import AsJson, node_id
from server.cli.screen import Screen, plain, write_json
from server.replaced_files import replace_file

EXAMPLE = "plexsphere-state enrol files --node $PLEXSPHERE_NODE_ID --out identity"
SECONDS = 10.0
KEY_BYTES = 32
# With all four present an agent does not register. The last one is written last.
FILES = ("private_key", "node_secret_key", "signing_public_key", "identity.json")


def files(
    node: Annotated[
        str,
        typer.Option("--node", envvar="PLEXSPHERE_NODE_ID", help="The Node.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the files.", show_default=False)],
    private_key: Annotated[
        Path | None,
        typer.Option(
            "--private-key", help="File with the Node's WireGuard key in base64; else a new one."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the four identity files of a Node, so that its agent runs without an enrolment.

    The Node gets the public half of its WireGuard key, and a new secret key beside its newest. The
    files are written to the folder one by one, each whole, and only their owner can read them.
    Needs PLEXSPHERE_DSN, and PLEXSPHERE_EVENT_KEK.
    """
    addressed = node_id(node, "--node")
    raw_key = secrets.token_bytes(KEY_BYTES) if private_key is None else _key_of(private_key)
    prepare_folder(out)
    write_files(out, _identity(addressed, raw_key))
    if as_json:
        write_json({"node_id": addressed, "files": [str(out / name) for name in FILES]})
    else:
        Screen().print(plain(f"{out}: {', '.join(FILES)}", "bold"))


def _key_of(file: Path) -> bytes:
    try:
        raw = b64decode(file.read_text(encoding="ascii").strip(), validate=True)
    except (OSError, ValueError, NoBase64) as error:
        raise Failure(f"--private-key {file} cannot be read as base64.", ExitCode.USAGE) from error
    if len(raw) != KEY_BYTES:
        sentence = f"--private-key {file} must have {KEY_BYTES} bytes, and has {len(raw)}."
        raise Failure(sentence, ExitCode.USAGE)
    return raw


def _identity(addressed: str, raw_key: bytes) -> Mapping[str, str]:
    """The texts of the files, after the ledger has the keys. Raises Failure."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    from composer.deadline import Deadline
    from composer.errors import NodeNotFound, PublicKeyInUse
    from db.connections import command_connections
    from db.credentials import PostgresNodeCredentials
    from db.enrolment import node_identity
    from db.event_keys import PostgresEventKeys
    from db.nodes import PostgresNodeRegistry
    from server.authn.secret_keys import RandomSecretKeys
    from server.cli.operators import operator_write
    from server.events.keys import EncryptedEventKeys
    from server.settings import read_settings

    settings = read_settings(ledger_only=True)
    if not settings.event_kek:
        raise Failure("PLEXSPHERE_EVENT_KEK is not set.", ExitCode.USAGE)
    first_contact(settings.dsn)
    uuid, secret = UUID(addressed), RandomSecretKeys().new()
    public_key = X25519PrivateKey.from_private_bytes(raw_key).public_key().public_bytes_raw()
    with command_connections(settings.dsn, "plexsphere-state enrol files") as (reads, writes):
        deadline = Deadline.after(SECONDS, time.monotonic)
        try:
            node = node_identity(reads, uuid, deadline)
            if node.mesh_ip is None or node.domain_mesh_cidr is None:
                raise Failure(f"node:{addressed} or its Domain has no address.", ExitCode.USAGE)
            source = EncryptedEventKeys(*settings.event_kek)
            event_key = PostgresEventKeys(reads, writes, source).current(node.domain_id, deadline)
            PostgresNodeRegistry(writes, hold_off=timedelta(0)).rotate_key(
                node_id=uuid,
                public_key=public_key,
                write=operator_write("node.rotate_key"),
                deadline=deadline,
            )
            PostgresNodeCredentials(reads, writes).rotate_secret_key(
                node_id=uuid,
                digest=secret.digest,
                write=operator_write("node.rotate_secret_key"),
                deadline=deadline,
            )
        except NodeNotFound as error:
            sentence = f"the ledger has no Node {addressed}; nothing was changed."
            raise Failure(sentence, ExitCode.USAGE) from error
        except PublicKeyInUse as error:
            sentence = "another Node of the Domain has this key; nothing was changed."
            raise Failure(sentence, ExitCode.USAGE) from error
    signing_public_key = b64encode(event_key.public_key).decode()
    identity = {
        "node_id": addressed,
        "mesh_ip": node.mesh_ip,
        "signing_public_key": signing_public_key,
        "signing_key_id": event_key.id,
        "domain_mesh_cidr": node.domain_mesh_cidr,
    }
    return {
        "private_key": b64encode(raw_key).decode(),
        "node_secret_key": b64encode(secret.secret).decode(),
        "signing_public_key": signing_public_key,
        "identity.json": json.dumps(identity, indent=2),
    }


def prepare_folder(folder: Path) -> None:
    """Make the folder, or check that it is its owner's alone. Raises Failure."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(folder.stat().st_mode)
    except OSError as error:
        raise Failure(f"--out {folder}: {error.strerror}.", ExitCode.USAGE) from error
    if mode & 0o077:
        sentence = f"--out {folder} is open to others (mode {mode:04o}): `chmod 700 {folder}`."
        raise Failure(sentence, ExitCode.USAGE)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Failure(f"--out {folder} cannot be written.", ExitCode.USAGE)


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write each file whole, for its owner alone. Raises Failure."""
    try:
        for name in FILES:
            replace_file(folder / name, texts[name].encode())
    except OSError as error:
        sentence = f"--out {folder}: {error.strerror}; the same command again makes other keys."
        raise Failure(sentence) from error
