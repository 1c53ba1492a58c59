"""The event keys of the ledger, for the commands that change them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from server.cli.contact import first_contact
from server.cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    from db.event_keys import PostgresEventKeys
    from server.events.keys import EncryptedEventKeys

SECONDS = 5.0


@contextmanager
def event_keys(application_name: str) -> Iterator[tuple[PostgresEventKeys, EncryptedEventKeys]]:
    """The keys by the settings, and what encrypts them. Raises Failure without a KEK."""
    from db.connections import command_connections
    from db.event_keys import PostgresEventKeys
    from server.events.keys import EncryptedEventKeys
    from server.settings import read_settings

    settings = read_settings(ledger_only=True)
    if not settings.event_kek:
        raise Failure("PLEXSPHERE_EVENT_KEK is not set.", ExitCode.USAGE)
    first_contact(settings.dsn)
    source = EncryptedEventKeys(*settings.event_kek)
    with command_connections(settings.dsn, application_name) as (reads, writes):
        yield PostgresEventKeys(reads, writes, source), source
