"""``plexsphere-state events re-encrypt``: the event keys of the ledger under another KEK."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

import typer

from server.cli.events.ledger import SECONDS, event_keys
from server.cli.failures import ExitCode
from server.cli.formats import counted
from server.cli.options import AsJson
from server.cli.screen import write_json

if TYPE_CHECKING:
    from composer.deadline import Deadline
    from db.event_keys import PostgresEventKeys
    from server.events.keys import EncryptedEventKeys

EXAMPLE = "PLEXSPHERE_EVENT_KEK=$NEW,$OLD plexsphere-state events re-encrypt"
PAGE = 500  # Domains


@dataclass
class Found:
    """Numbers of keys, and the Domains of those that decrypt under neither KEK."""

    re_encrypted: int = 0
    unchanged: int = 0
    undecryptable: list[str] = field(default_factory=list)


def re_encrypt(as_json: AsJson = False) -> None:
    """Encrypt every event key of the ledger under the first of two KEKs; harmless to repeat.

    PLEXSPHERE_EVENT_KEK must be the new KEK and the old one, with a comma between. The event keys
    themselves stay, so no agent notices. After exit code 0 the old KEK is needed no more, where no
    process of the service encrypts with it.

    Exit code 1 means that keys decrypt under neither; their Domains are listed.
    """
    found, after = Found(), UUID(int=0)
    with event_keys("plexsphere-state events re-encrypt") as (keys, source):
        while domain_ids := keys.domains(after, PAGE, _deadline()):
            _re_encrypt(keys=keys, source=source, domain_ids=domain_ids, found=found)
            after = domain_ids[-1]
    if as_json:
        write_json(asdict(found))
    else:
        done = counted(found.re_encrypted, "event key")
        typer.echo(f"{done} re-encrypted, {found.unchanged:,} unchanged")
        for domain_id in found.undecryptable:
            typer.echo(f"domain:{domain_id}: a key decrypts under neither KEK", err=True)
    if found.undecryptable:
        raise typer.Exit(ExitCode.DIFFERENT)


def _re_encrypt(
    keys: PostgresEventKeys, source: EncryptedEventKeys, domain_ids: list[UUID], found: Found
) -> None:
    from composer.errors import SigningUnavailable

    for domain_id, stored in keys.stored(domain_ids, _deadline()).items():
        for key in stored:
            try:
                encrypted = source.re_encrypted(domain_id, key)
            except SigningUnavailable:
                found.undecryptable.append(str(domain_id))
                continue
            if encrypted is None:
                found.unchanged += 1
            elif keys.replace_encrypted(
                domain_id=domain_id, key=key, encrypted=encrypted, deadline=_deadline()
            ):
                found.re_encrypted += 1


def _deadline() -> Deadline:
    from composer.deadline import Deadline

    return Deadline.after(SECONDS, time.monotonic)
