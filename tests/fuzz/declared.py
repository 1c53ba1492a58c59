"""Schemathesis' checks of an answer against its declaration, for what it does not meet itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import requests
import schemathesis
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup

from tests.fuzz.exchange import CONTRACT, Exchange

CHECKS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


class Declared:
    """The contract as Schemathesis reads it: no code of the service has a part in it."""

    def __init__(self) -> None:
        load_all_checks()
        self._schema = schemathesis.openapi.from_dict(
            copy.deepcopy(CONTRACT.document), config=schemathesis.Config()
        )

    def complaints(self, exchange: Exchange) -> Iterator[tuple[str, str]]:
        """(check, complaint) of a GET that an operation answered; HEAD has no body to look at."""
        operation = exchange.operation
        if operation is None or exchange.method != operation.method:
            return
        found = self._schema.find_operation_by_id(operation.operation_id)
        case = found.Case(path_parameters=dict(exchange.parameters))
        for name in CHECKS:
            check = getattr(schemathesis.checks, name)
            try:
                case.validate_response(_response(exchange), checks=[check])
            except FailureGroup as group:
                yield name, group.exceptions[0].title


def _response(exchange: Exchange) -> schemathesis.Response:
    request = requests.Request(exchange.method, f"http://service{exchange.path}")
    return schemathesis.Response(
        status_code=exchange.status,
        headers={name: [value] for name, value in exchange.received.items()},
        content=exchange.body,
        request=request.prepare(),
        elapsed=0.0,
        verify=True,
    )
