"""EXTERNAL=1: parts that run elsewhere, as PLEXSPHERE_* name them; nothing there is overwritten."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from composer.deadline import Deadline
from composer.errors import ComposerError
from db.bulk import implied_tuples, node_ids
from db.migrate import migrate
from server.authz.admin import SpiceDbAdmin, missing_from
from server.authz.channel import SpiceDbChannel
from server.authz.endpoint import SpiceDbEndpoint
from server.authz.tuples import RelationTuple

from .ledger import load_sample
from .process import StackError
from .sample import Sample
from .tuples import FILL_SECONDS, fill, touch

# The stack decides these itself.
OWN = ("PLEXSPHERE_BIND", "PLEXSPHERE_URL", "PLEXSPHERE_NODE_ID", "PLEXSPHERE_DOMAIN_ID")


def external_settings() -> dict[str, str]:
    """The settings of the shell for parts that run elsewhere."""
    found = {k: v for k, v in os.environ.items() if k.startswith("PLEXSPHERE_") and v.strip()}
    return {name: value for name, value in found.items() if name not in OWN}


@dataclass(frozen=True, slots=True)
class ExternalLedger:
    """`addressed` is a Node for a first pull; `is_new` where this start filled the ledger."""

    addressed: str
    is_new: bool


def external_ledger(dsn: str, sample: Sample) -> ExternalLedger:
    """Migrates it, and loads the sample where it has no Node."""
    try:
        migrate(dsn)
        found = node_ids(dsn)
        if not found:
            load_sample(dsn, sample)
    except ComposerError as error:
        raise StackError(f"Postgres of PLEXSPHERE_DSN: {error}.") from error
    if found:
        # A ledger with data of its own, or with the sample of an earlier start.
        known = str(sample.addressed_id) in found
        return ExternalLedger(str(sample.addressed_id) if known else found[0], is_new=False)
    return ExternalLedger(str(sample.addressed_id), is_new=True)


def external_spicedb(env: Mapping[str, str], is_new: bool) -> None:
    """Writes our schema and every tuple to a SpiceDB without a schema; to a SpiceDB with our schema
    the tuples of a new ledger."""
    ca = env.get("PLEXSPHERE_SPICEDB_CA")
    endpoint = SpiceDbEndpoint(
        address=env["PLEXSPHERE_SPICEDB_ENDPOINT"],
        preshared_key=env.get("PLEXSPHERE_SPICEDB_TOKEN", ""),
        ca=Path(ca) if ca else None,
        insecure=env.get("PLEXSPHERE_SPICEDB_INSECURE") == "1",
    )
    channel = SpiceDbChannel(endpoint, timeout=FILL_SECONDS)
    try:
        schema = SpiceDbAdmin(channel).read_schema(Deadline.after(10, time.monotonic))
        if schema is None:
            fill(channel, _tuples(env["PLEXSPHERE_DSN"]))
        elif missing := missing_from(schema):
            raise StackError(
                f"SpiceDB of PLEXSPHERE_SPICEDB_ENDPOINT has a schema that lacks "
                f"{', '.join(missing)}: add them from server/authz/schema.zed."
            )
        elif is_new:
            touch(channel, _tuples(env["PLEXSPHERE_DSN"]))
    except ComposerError as error:
        raise StackError(f"SpiceDB of PLEXSPHERE_SPICEDB_ENDPOINT: {error}.") from error
    finally:
        channel.close()


def _tuples(dsn: str) -> list[RelationTuple]:
    return [RelationTuple(*stored) for stored in implied_tuples(dsn)]
