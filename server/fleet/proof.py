"""The proof at the end: every picture equals what the ledger says, read without the service."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ComposerError
from composer.ports import DropReporter
from composer.snapshot_composer import SnapshotComposer
from db.ledger import PostgresLedger
from db.pool import ReadPool
from handlers.wire import SnapshotWire
from server.fleet.agents import Agent

SECONDS_A_NODE = 10.0


class _Silent(DropReporter):
    def dropped(
        self, outcome: str, domain_id: UUID, addressed_node_id: UUID, peer_node_id: UUID
    ) -> None:
        """The service has said it already."""


def unequal(agents: Sequence[Agent], dsn: str) -> list[str]:
    """The Nodes whose picture is not the ledger's, each with a reason. Raises ComposerError."""
    pool = ReadPool(dsn, size=1, statement_timeout=SECONDS_A_NODE)
    composer, wire = SnapshotComposer(PostgresLedger(pool), _Silent()), SnapshotWire()
    try:
        return [
            f"{agent.node_id}: {reason}"
            for agent in agents
            if (reason := _reason(agent, composer, wire))
        ]
    finally:
        pool.close()


def _reason(agent: Agent, composer: SnapshotComposer, wire: SnapshotWire) -> str | None:
    deadline = Deadline.after(SECONDS_A_NODE, time.monotonic)
    try:
        snapshot = composer.snapshot_for_node(UUID(agent.node_id), UUID(agent.domain_id), deadline)
    except ComposerError as error:
        return f"the ledger does not show it: {error}"
    wanted = json.loads(wire.encode(snapshot).to_bytes())
    del wanted["reachability"]
    picture = agent.picture.desired_state
    different = [name for name in wanted if wanted[name] != picture.get(name)]
    return f"{', '.join(different)} differ" if different else None
