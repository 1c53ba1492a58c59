"""Asks every case, and says what came of it in a form that can be kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from werkzeug.test import TestResponse

from composer.audit import AuditRow
from handlers import OPERATIONS
from handlers.operation import OpenOperation
from tests.factories import CORRELATION
from tests.golden.operations.callers import AGENT, MOST, Caller
from tests.golden.operations.service import (
    KINDS,
    WHOLE,
    Operations,
    Resettable,
)
from tests.golden.operations.variants import HELD_TAG, VARIANTS, Variant
from tests.golden.operations.worlds import WORLDS, World
from tests.ports.in_process import FakeService

# Stands for the caller: a refusal is the same for all of them but for who it is.
CALLER = "{caller}"
# Of a body, in bytes; of a longer one the SHA-256 is kept.
LONGEST_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class Case:
    """One request of one caller in one world."""

    operation: str
    world: World
    variant: Variant
    caller: Caller


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer that left (``answer``: status, headers, body, audit rows)."""

    answer: dict[str, Any]


def is_gated(operation: str) -> bool:
    """Whether the operation has gates; of the others only the status is kept."""
    return not isinstance(OPERATIONS[operation], OpenOperation)


def cases(operation: str) -> Iterator[Case]:
    """All of an operation, in a fixed order."""
    gated = is_gated(operation)
    for world in WORLDS:
        if not gated and not world.every_variant:
            continue
        for variant in VARIANTS[operation]:
            if variant.everywhere or world.every_variant:
                callers = world.callers if variant.everywhere else _most(world)
                for caller in callers if gated else callers[:1]:
                    yield Case(operation, world, variant, caller)


def _most(world: World) -> tuple[Caller, ...]:
    return tuple(caller for caller in world.callers if caller in MOST)


class Asker:
    """Services of every kind, made once: a case takes about a millisecond.

    ``operations`` take the place of some.
    """

    def __init__(self, operations: Operations | None = None) -> None:
        self._services = {kind: Resettable.of(kind, operations) for kind in KINDS}
        sound = self._services[WHOLE].reset()
        sound.relations.grants = AGENT.triples()
        self._etag = sound.pull().headers["ETag"]

    def outcome(self, case: Case) -> Outcome:
        """Ask, in a world that is as new."""
        service, response = self._asked(case)
        if not is_gated(case.operation):
            return Outcome({"status": response.status_code})
        rows = [_row(row, case.caller) for row in service.audit.rows]
        answer = {
            "status": response.status_code,
            "headers": _headers(response),
            "body": _body(response, case.variant.path),
            "audit": rows,
        }
        return Outcome(answer)

    def response(self, case: Case) -> TestResponse:
        """The whole answer, in a world that is as new."""
        return self._asked(case)[1]

    def _asked(self, case: Case) -> tuple[FakeService, TestResponse]:
        service = self._services[case.world.service].reset()
        service.relations.grants = case.caller.triples()
        case.world.arrange(service)
        case.variant.arrange(service)
        return service, self._ask(service, case)

    def _ask(self, service: FakeService, case: Case) -> TestResponse:
        variant = case.variant
        headers = {
            name: value.replace(HELD_TAG, self._etag) for name, value in variant.headers.items()
        }
        return service.ask(
            variant.path,
            case.caller.bearer,
            method=variant.method,
            headers={"X-Correlation-Id": CORRELATION, **headers},
            data=variant.body,
            environ={"QUERY_STRING": variant.query},
        )


def _headers(response: TestResponse) -> dict[str, str]:
    return dict(sorted((name.lower(), value) for name, value in response.headers))


def _body(response: TestResponse, path: str) -> str:
    """The text; a Problem's ``instance`` is masked where it is the path of the request."""
    if len(response.data) > LONGEST_KEPT:
        return f"sha256 {hashlib.sha256(response.data).hexdigest()}"
    text = response.data.decode("utf-8")
    return text.replace(f'"instance":{json.dumps(path)}', '"instance":"{path}"')


def _row(row: AuditRow, caller: Caller) -> str:
    subject = CALLER if row.subject == caller.subject else row.subject
    parts = [row.relation, row.outcome, subject, row.object]
    if row.correlation_id != CORRELATION:
        parts.append(f"correlation_id={row.correlation_id}")
    if row.digest is not None:
        parts.append(f"digest={row.digest}")
    return " ".join(parts)


def code_of(answer: Mapping[str, Any]) -> str:
    """The code of a Problem; empty for any other answer."""
    body = answer.get("body", "")
    return str(json.loads(body).get("code", "")) if '"code":' in body else ""
