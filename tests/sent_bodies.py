"""The result of a body that is sent to the one operation with a body, through Flask alone."""

from __future__ import annotations

import io
import json
from typing import Any

from handlers.refusals import INTERNAL, BodyRefusals, RefusalKind, Refused
from server.contract.document import Contract
from server.http.application import Application
from server.http.requests import checked_body
from tests.bodies import example_body
from tests.ports.in_process import gated_operation

CONTRACT = Contract.packaged()


OPERATION = "PostNodeHeartbeat"
REFUSALS = gated_operation(OPERATION).body_refusals or BodyRefusals(INTERNAL)


APP = Application(__name__)


EXAMPLE: dict[str, Any] = {**(example_body(OPERATION) or {}), "nat_summary": {}}


GOOD = json.dumps(EXAMPLE).encode()


def body_of(
    raw: bytes, content_type: str | None = "application/json", chunked: bool = False, **headers: str
) -> dict[str, Any] | RefusalKind:
    """The result of one request's body."""
    contract = CONTRACT.operations[OPERATION].body
    assert contract is not None
    values = {name.replace("_", "-"): value for name, value in headers.items()}
    environ: dict[str, Any] = {"wsgi.input_terminated": True} if chunked else {}
    with APP.test_request_context(
        "/",
        method="POST",
        headers=values,
        content_type=content_type,
        input_stream=io.BytesIO(raw),
        content_length=None if chunked else len(raw),
        environ_overrides=environ,
    ):
        try:
            return checked_body(contract, REFUSALS)
        except Refused as refused:
            return refused.kind


def with_member(**changes: Any) -> bytes:
    return json.dumps(EXAMPLE | changes).encode()


def of_size(size: int) -> bytes:
    """A good body of exactly so many bytes."""
    return GOOD + b" " * (size - len(GOOD))
