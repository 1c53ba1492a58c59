"""Why a pull of a Node is answered 500: the pull itself, composed from the ledger and validated."""

from __future__ import annotations

import json
import time
from contextlib import closing
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import CorruptLedger
from composer.snapshot_composer import SnapshotComposer
from db.ledger import PostgresLedger
from db.pool import read_pool
from handlers.wire import SnapshotWire
from server.contract.document import Contract

READ_SECONDS = 10.0


def pull_fault(dsn: str, node_id: UUID, domain_id: UUID) -> str | None:
    """A sentence; None where the pull is a 200. Raises NodeNotFound, DatastoreUnavailable."""
    deadline = Deadline.after(READ_SECONDS, time.monotonic)
    with closing(
        read_pool(dsn, 1, READ_SECONDS, application_name="plexsphere-state explain")
    ) as pool:
        composer = SnapshotComposer(PostgresLedger(pool, cached_rows=0), _Ignored())
        try:
            snapshot = composer.snapshot_for_node(node_id, domain_id, deadline)
            body = SnapshotWire().encode(snapshot).to_bytes()
        except CorruptLedger as error:
            return str(error)
    answer = Contract.packaged().operations["GetNodeState"].responses[200].media["application/json"]
    fault = answer.validator.fault(json.loads(body))
    return fault and f"the contract does not allow {fault.pointer or 'the answer'} ({fault.rule})"


class _Ignored:
    """A DropReporter: a peer that is left out is no fault of the pull."""

    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None:
        """Nothing is counted."""
