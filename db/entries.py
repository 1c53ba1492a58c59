"""The EntryStore on Postgres: one round trip an entry."""

from __future__ import annotations

from datetime import UTC, datetime

from composer.deadline import Deadline
from composer.entries import REPORT, EntryRow, missing, too_many
from composer.errors import NodeNotFound
from composer.identity import AddressedNode
from db.statements import Prepared
from db.write_pool import WritePool

REPORT_PUT = Prepared("report_put")
REPORT_REMOVE = Prepared("report_remove")
ENTRY_PUT = Prepared("entry_put")
ENTRY_REMOVE = Prepared("entry_remove")


class PostgresEntries:
    """Implements composer.entries.EntryStore."""

    def __init__(self, pool: WritePool, report_quota: int, entry_quota: int) -> None:
        """How many a Node may hold: reports; metadata entries, and as many data entries."""
        self._pool = pool
        self._report_quota = report_quota
        self._entry_quota = entry_quota

    def put(self, node: AddressedNode, entry: EntryRow, deadline: Deadline) -> datetime:
        """See composer.entries.EntryStore."""
        is_report = entry.kind == REPORT
        arguments = {
            **_named(node, entry.kind, entry.key),
            "value": entry.value,
            "workload_tag": entry.workload_tag or None,
            "quota": self._report_quota if is_report else self._entry_quota,
        }
        statement = REPORT_PUT if is_report else ENTRY_PUT
        accepted_at, is_there, fits = self._pool.repeatable(statement, arguments, deadline)[0]
        if not is_there:
            raise NodeNotFound(f"node_id={node.id}")
        if not fits:
            raise too_many(entry.kind, f"node_id={node.id} kind={entry.kind}")
        return accepted_at.astimezone(UTC)  # type: ignore[no-any-return]

    def remove(self, node: AddressedNode, kind: str, key: str, deadline: Deadline) -> None:
        """See composer.entries.EntryStore."""
        statement = REPORT_REMOVE if kind == REPORT else ENTRY_REMOVE
        found = self._pool.repeatable(statement, _named(node, kind, key), deadline)
        is_there, is_removed = found[0]
        if not is_there:
            raise NodeNotFound(f"node_id={node.id}")
        if not is_removed:
            raise missing(kind, f"node_id={node.id} kind={kind}")


def _named(node: AddressedNode, kind: str, key: str) -> dict[str, object]:
    return {
        "node_id": str(node.id),
        "domain_id": str(node.domain_id),
        "kind": kind,
        "key": key,
    }
