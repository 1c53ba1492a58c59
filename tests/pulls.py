"""The pull in this process, from the gates to the bytes, over a real ledger.

What `server/wiring.py` puts together, without the sockets and with a checker that lets everyone in.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, cast

from psycopg2.extensions import connection

from composer.audit import NoAudit
from composer.deadline import Deadline
from composer.identity import Principal, PrincipalKind
from composer.last_answers import NoLastAnswers
from composer.snapshot_composer import DropReporter, SnapshotComposer
from db.connections import ReadSession, Row
from db.errors import ledger_errors
from db.ledger import PostgresLedger
from db.nodes import PostgresNodeRepo
from db.pool import PLANNER, Pool
from db.statements import Prepared
from handlers import OPERATIONS
from handlers.answers import Call
from handlers.operation import Operation, perform
from handlers.ports import LedgerPorts
from handlers.refusals import Refused
from handlers.wire import SnapshotBody, SnapshotWire
from server.contract.document import Contract
from server.http.response_validation import Outgoing, ResponseValidator
from tests.fakes import FakeDropReporter, FakeRequestLimits

CALLER = Principal(PrincipalKind.USER, "reader")
SECONDS = 30.0
PULL = OPERATIONS["GetNodeState"]
assert isinstance(PULL, Operation)


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer that a caller of the pull would get; `body` and `digest` are of a 200 alone.

    `inside` is what the log says of a refusal.
    """

    status: int
    code: str | None = None
    body: bytes = b""
    digest: str = ""
    inside: str = ""


class Puller:
    """One worker's pull: what it holds from one call may serve the next."""

    def __init__(self, pool: Pool[ReadSession], reporter: DropReporter | None = None) -> None:
        """``reporter`` stands in for ``drops``."""
        self.drops = FakeDropReporter()
        ledger = PostgresLedger(pool, cached_rows=200_000)
        unused = dict.fromkeys(field.name for field in fields(LedgerPorts))
        self._ports = LedgerPorts(
            **unused
            | {
                "relations": EveryoneIsAgent(),
                "nodes": PostgresNodeRepo(pool, ledger),
                "snapshots": SnapshotComposer(ledger, reporter or self.drops),
                "audit": NoAudit(),
                "wire": SnapshotWire(),
                "limits": FakeRequestLimits(),
                "last_answers": NoLastAnswers(),
            }
        )

    def pull(self, node_id: str, seconds: float = SECONDS) -> Answered:
        """The answer, checked against the contract as the server does it."""
        call = Call(CALLER, "correlation", Deadline.after(seconds, time.monotonic))
        try:
            answer = perform(PULL, self._ports, call, {"id": node_id})
        except Refused as refused:
            return Answered(refused.kind.status, refused.kind.code, inside=refused.inside)
        snapshot = answer.body
        assert isinstance(snapshot, SnapshotBody) and answer.media_type is not None
        body = snapshot.to_bytes()
        headers = {name.lower(): value for name, value in answer.headers.items()}
        outgoing = Outgoing(
            operation_id="GetNodeState",
            status=answer.status,
            media_type=answer.media_type,
            headers=headers | {"x-correlation-id": call.correlation_id},
            body=body,
            snapshot=snapshot,
        )
        breach = validator().breach(outgoing)
        if breach is not None:
            return Answered(500, inside=str(breach))
        return Answered(answer.status, None, body, snapshot.digest)


@cache
def validator() -> ResponseValidator:
    """The one of this process, as in a worker."""
    return ResponseValidator(Contract.packaged())


class EveryoneIsAgent:
    """A RelationChecker that never says no."""

    def check(self, principal: Principal, relation: str, resource: str, deadline: Deadline) -> bool:
        return True

    def check_at_least(
        self, principal: Principal, relation: str, resource: str, token: str, deadline: Deadline
    ) -> bool:
        return True


class PoolOfOne:
    """Stands in for a Pool, on a connection whose transaction a test holds open."""

    def __init__(self, held: connection) -> None:
        self._held = held
        self._prepared: set[str] = set()
        with held.cursor() as cursor:
            for name, value in PLANNER.items():
                cursor.execute(f"SET {name} = {value}")

    @classmethod
    def over(cls, held: connection) -> Pool[ReadSession]:
        return cast(Pool[ReadSession], cls(held))

    def fetch(self, query: Prepared, arguments: Mapping[str, Any], deadline: Deadline) -> list[Row]:
        with ledger_errors(query.name), self._held.cursor() as cursor:
            if query.name not in self._prepared:
                cursor.execute(query.prepare)
                self._prepared.add(query.name)
            cursor.execute(query.execute, arguments)
            return list(cursor.fetchall())
