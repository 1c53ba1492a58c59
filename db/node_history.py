"""The digests a Node was granted, from its audit rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from composer.deadline import Deadline
from db.connections import connect, fetch, with_defaults
from db.errors import ledger_errors
from db.statements import statement


@dataclass(frozen=True, slots=True)
class Served:
    """A digest, from its first grant to its last without another between them."""

    digest: str
    first_at: datetime
    last_at: datetime
    grants: int


def node_history(dsn: str, node_id: str, limit: int, deadline: Deadline) -> list[Served]:
    """The last ``limit`` of them, the newest first. Raises DatastoreUnavailable."""
    named = with_defaults(
        dsn, {"default_transaction_read_only": "on"}, application_name="plexsphere-state fleet"
    )
    arguments = {"object": f"node:{node_id}", "limit": limit}
    with ledger_errors("reading what a Node was granted"):
        opened = connect(named, deadline)
        try:
            found = fetch(opened, statement("node_history"), arguments, deadline)
            return [Served(*row) for row in found]
        finally:
            opened.close()
