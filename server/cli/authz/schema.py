"""``plexsphere-state authz schema``: SpiceDB's schema, at the version of this release."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from server.cli.contact import first_contact
from server.cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    from server.settings import Settings

EXAMPLE = "plexsphere-state authz schema"
SECONDS = 10.0


def schema() -> None:
    """Write the schema of this release to SpiceDB; harmless to repeat.

    A SpiceDB that has definitions of other programs is not changed: merge
    server/authz/schema.zed into its schema by hand.
    """
    from server.settings import read_settings

    typer.echo(bring_up_schema(read_settings(tokenless=True)))


def bring_up_schema(settings: Settings) -> str:
    """Write the schema where SpiceDB lacks a part of it; a sentence about the result."""
    from composer.deadline import Deadline
    from server.authz.admin import SpiceDbAdmin, foreign_definitions, missing_from, schema_text
    from server.authz.channel import SpiceDbChannel

    first_contact(spicedb=settings.spicedb)
    channel = SpiceDbChannel(settings.spicedb, timeout=SECONDS)
    try:
        admin = SpiceDbAdmin(channel)
        found = admin.read_schema(Deadline.after(SECONDS, time.monotonic))
        if found is not None and not missing_from(found):
            return "SpiceDB's schema is that of this release: nothing to do"
        if found is not None and (others := foreign_definitions(found)):
            sentence = (
                f"SpiceDB has definitions of other programs ({', '.join(others)}); nothing was "
                "changed: merge server/authz/schema.zed into its schema, for example with `zed`."
            )
            raise Failure(sentence, ExitCode.DIFFERENT)
        admin.write_schema(schema_text(), Deadline.after(SECONDS, time.monotonic))
        return "SpiceDB has the schema of this release"
    finally:
        channel.close()
