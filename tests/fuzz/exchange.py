"""One request and its answer, whoever sent it: Schemathesis, a directed case or a WSGI client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from server.contract.document import Contract, OperationContract, ResponseContract
from tests.client import Reply

CONTRACT = Contract.packaged()
PROBLEM = "application/problem+json"
# What the HTTP server may refuse before the service sees it (docs/design.md, Order of refusals).
HTTP_SERVER_REFUSES = (400, 414, 431)
# As many requests in a row without an answer: the service is silent.
MOST_SILENT = 5


@dataclass(frozen=True)
class Exchange:
    """Header names in lower case; `path` as it was sent, percent-encoded.

    Without slots, so that what some twenty checks ask of it is worked out once.
    """

    method: str
    path: str
    sent: Mapping[str, str]
    status: int
    received: Mapping[str, str]
    body: bytes
    sent_body: bytes | None = None

    @classmethod
    def of(
        cls,
        method: str,
        path: str,
        sent: Mapping[str, str],
        reply: Reply,
        sent_body: bytes | None = None,
    ) -> Exchange:
        """A reply of `tests.client`."""
        lower = {name.lower(): value for name, value in sent.items()}
        return cls(method, path, lower, reply.status, reply.headers, reply.body, sent_body)

    @classmethod
    def unanswered(
        cls, method: str, path: str, sent: Mapping[str, str], sent_body: bytes | None = None
    ) -> Exchange:
        """A request without an answer."""
        return cls.of(method, path, sent, Reply(0, {}, b""), sent_body)

    @property
    def is_ours(self) -> bool:
        """Whether a declared path answered, and not the HTTP server in front of it."""
        refused = self.status in HTTP_SERVER_REFUSES and "x-correlation-id" not in self.received
        return not refused and operation_at(self.path) is not None

    @cached_property
    def operation(self) -> OperationContract | None:
        """The operation of the path, which may not be the one that was meant.

        None for an unknown path, an undeclared method, and a request that was never received.
        """
        found = operation_at(self.path, self.method) if self.is_ours else None
        if found is None or self.method not in CONTRACT.methods_of(found.path):
            return None
        return found

    @property
    def name(self) -> str:
        """The operationId, or a dash."""
        operation = self.operation
        return "-" if operation is None else operation.operation_id

    @property
    def declared(self) -> ResponseContract | None:
        """The response the contract declares for this status."""
        operation = self.operation
        return None if operation is None else operation.responses.get(self.status)

    @property
    def succeeded(self) -> bool:
        """With what was asked for, or with the word that it is unchanged."""
        return self.status // 100 == 2 or self.status == 304

    @property
    def media_type(self) -> str:
        return self.received.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def value(self) -> Any:
        """The body as JSON; None where it is none, or is no object."""
        if not self.media_type.endswith("json"):
            return None
        try:
            value = json.loads(self.body)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None

    @property
    def problem(self) -> dict[str, Any] | None:
        """The Problem, where the answer is one."""
        return self.value if self.media_type == PROBLEM else None

    @property
    def snapshot(self) -> dict[str, Any] | None:
        """The envelope of a pull's 200."""
        pulled = self.name == "GetNodeState" and self.status == 200 and self.method == "GET"
        return self.value if pulled else None

    @property
    def node_id(self) -> str:
        """The id in the path; empty where there is none."""
        parts = unquote(self.path).split("/")
        return parts[3] if parts[1:3] == ["v1", "nodes"] and len(parts) == 5 else ""

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The path's parameters by name, decoded."""
        found = operation_at(self.path, self.method) if self.is_ours else None
        if found is None:
            return {}
        asked = unquote(urlsplit(self.path).path).split("/")
        pairs = zip(found.path.split("/"), asked, strict=True)
        return {segment[1:-1]: values for segment, values in pairs if segment.startswith("{")}

    @property
    def object_id(self) -> str:
        """The Node or the Domain in the path; empty where there is none."""
        return self.parameters.get("id") or self.parameters.get("domain_id", "")


@lru_cache(maxsize=10_000)
def operation_at(path: str, method: str = "") -> OperationContract | None:
    """The operation a path is routed to, as the service decodes it: `%2F` makes two segments.

    Of several at one path that of `method`, HEAD being a GET, else the first.
    """
    asked = unquote(urlsplit(path).path).split("/")
    found = [
        operation
        for operation in CONTRACT.operations.values()
        if _leads_to(operation.path.split("/"), asked)
    ]
    wanted = "GET" if method == "HEAD" else method
    return next(
        (operation for operation in found if operation.method == wanted),
        found[0] if found else None,
    )


def _leads_to(declared: list[str], asked: list[str]) -> bool:
    return len(declared) == len(asked) and all(
        (segment.startswith("{") and other) or segment == other
        for segment, other in zip(declared, asked, strict=True)
    )
