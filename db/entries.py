"""State entries on Postgres: one round trip for each write."""

from __future__ import annotations

from datetime import UTC, datetime

from composer.audit import AuditedWrite
from composer.deadline import Deadline
from composer.entries import REPORT, EntryRow, entry_not_found, quota_exceeded
from composer.errors import NodeNotFound
from composer.identity import AddressedNode
from db.audit import write_arguments
from db.connections import Sessions, WriteSession
from db.statements import Prepared

REPORT_PUT = Prepared("report_put")
REPORT_REMOVE = Prepared("report_remove")
ENTRY_PUT = Prepared("entry_put")
ENTRY_REMOVE = Prepared("entry_remove")


class PostgresEntries:
    """Implements composer.entries.EntryStore."""

    def __init__(self, pool: Sessions[WriteSession], report_quota: int, entry_quota: int) -> None:
        """Quotas of one Node: reports; entries of each other kind."""
        self._pool = pool
        self._report_quota = report_quota
        self._entry_quota = entry_quota

    def put(
        self, node: AddressedNode, entry: EntryRow, write: AuditedWrite, deadline: Deadline
    ) -> datetime:
        """See composer.entries.EntryStore."""
        is_report = entry.kind == REPORT
        arguments = {
            **_arguments(node=node, kind=entry.kind, key=entry.key, write=write),
            "value": entry.value,
            "workload_tag": entry.workload_tag or None,
            "quota": self._report_quota if is_report else self._entry_quota,
        }
        statement = REPORT_PUT if is_report else ENTRY_PUT
        accepted_at, node_exists, is_granted = self._pool.fetch(statement, arguments, deadline)[0]
        if not node_exists:
            raise NodeNotFound(f"node_id={node.id}")
        if not is_granted:
            raise quota_exceeded(entry.kind, f"node_id={node.id} kind={entry.kind}")
        return accepted_at.astimezone(UTC)  # type: ignore[no-any-return]

    def remove(
        self, node: AddressedNode, kind: str, key: str, write: AuditedWrite, deadline: Deadline
    ) -> None:
        """See composer.entries.EntryStore."""
        statement = REPORT_REMOVE if kind == REPORT else ENTRY_REMOVE
        found = self._pool.fetch(
            statement, _arguments(node=node, kind=kind, key=key, write=write), deadline
        )
        node_exists, is_granted = found[0]
        if not node_exists:
            raise NodeNotFound(f"node_id={node.id}")
        if not is_granted:
            raise entry_not_found(kind, f"node_id={node.id} kind={kind}")


def _arguments(node: AddressedNode, kind: str, key: str, write: AuditedWrite) -> dict[str, object]:
    return {
        "node_id": str(node.id),
        "domain_id": str(node.domain_id),
        "kind": kind,
        "key": key,
        **write_arguments(write),
    }
