"""Heartbeats on Postgres: concurrent ones are one short statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import ClockSkew, NodeNotFound
from composer.heartbeat import MAX_CLOCK_SKEW, HeartbeatResult
from composer.identity import AddressedNode, Principal, node_object
from db.clock import TimeOffset, no_offset
from db.coalesced_reads import CoalescedStatements
from db.connections import Sessions, WriteSession
from db.statements import Prepared
from db.timing import Timed, untimed
from db.together import go_last

NODE_HEARTBEAT = Prepared("node_heartbeat")
NODE_HEARTBEATS = Prepared("node_heartbeats")
# Of a heartbeat that the statement of several did not write.
UNWRITTEN = HeartbeatResult(None, None)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat that waits to be written."""

    principal: Principal
    node_id: UUID
    client_now: datetime
    last_token: str | None

    @property
    def is_of_the_node(self) -> bool:
        """Whether the Node itself sends it."""
        return self.principal.subject == node_object(self.node_id)


class PostgresHeartbeats(CoalescedStatements[Heartbeat, HeartbeatResult]):
    """Implements composer.heartbeat.HeartbeatSink.

    The statement of several writes those that there is nothing to say about, and waits for no lock.
    Any other heartbeat has a statement of its own, beside these.
    """

    def __init__(
        self,
        pool: Sessions[WriteSession],
        time_offset: TimeOffset = no_offset,
        timed: Timed = untimed,
    ) -> None:
        super().__init__(timed=timed)
        self._pool = pool
        self._time_offset = time_offset

    def heartbeat(
        self,
        principal: Principal,
        node_id: UUID,
        client_now: datetime,
        last_token: str | None,
        deadline: Deadline,
    ) -> HeartbeatResult:
        """See composer.heartbeat.HeartbeatSink."""
        heartbeat = Heartbeat(
            principal=principal, node_id=node_id, client_now=client_now, last_token=last_token
        )
        result = self.ask(heartbeat, deadline)
        if result is UNWRITTEN:
            go_last()
            result = self._written_alone(heartbeat, deadline)
        return result

    def _ask_alone(self, question: Heartbeat, deadline: Deadline) -> HeartbeatResult:
        return self._ask_together([question], deadline)[0]

    def _ask_together(
        self, questions: Sequence[Heartbeat], deadline: Deadline
    ) -> list[HeartbeatResult]:
        credentials = [question.principal.credential for question in questions]
        arguments = {
            "node_ids": [str(question.node_id) for question in questions],
            "client_nows": [question.client_now.isoformat() for question in questions],
            "last_tokens": [question.last_token for question in questions],
            "are_of_the_node": [question.is_of_the_node for question in questions],
            "secret_key_digests": [each.secret_key_digest for each in credentials],
            "issued_ats": [each.issued_at for each in credentials],
            "max_skew": MAX_CLOCK_SKEW,
            "time_offset": self._time_offset(),
        }
        found = self._pool.fetch(NODE_HEARTBEATS, arguments, deadline)
        written = {
            number: HeartbeatResult(at.astimezone(UTC), token) for number, at, token in found
        }
        return [written.get(number, UNWRITTEN) for number in range(1, len(questions) + 1)]

    def _written_alone(self, heartbeat: Heartbeat, deadline: Deadline) -> HeartbeatResult:
        principal, node_id = heartbeat.principal, heartbeat.node_id
        arguments = {
            "node_id": str(node_id),
            "client_now": heartbeat.client_now.isoformat(),
            "max_skew": MAX_CLOCK_SKEW,
            "time_offset": self._time_offset(),
            "last_token": heartbeat.last_token,
            "is_the_node": heartbeat.is_of_the_node,
            "secret_key_digest": principal.credential.secret_key_digest,
            "issued_at": principal.credential.issued_at,
        }
        found = self._pool.fetch(NODE_HEARTBEAT, arguments, deadline)
        at, clocks_agree, is_written, domain_id, token, digests, tokens_not_before = found[0]
        if domain_id is None:
            raise NodeNotFound(f"node_id={node_id}")
        node = AddressedNode(
            id=node_id,
            domain_id=UUID(domain_id),
            authz_token=token,
            secret_key_digests=tuple(map(bytes, digests)),
            tokens_not_before=tokens_not_before,
        )
        if not is_written:
            node.check_credential(principal)
        if not clocks_agree and token in (None, heartbeat.last_token):
            raise ClockSkew(f"node_id={node_id}")
        return HeartbeatResult(at.astimezone(UTC) if is_written else None, token)
