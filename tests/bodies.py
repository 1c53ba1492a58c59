"""A request body for each operation that declares one: the contract's first example, of now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from server.contract import Contract

JSON = {"Content-Type": "application/json"}
# Members that say what time it is with the caller.
MOMENTS: Mapping[str, tuple[str, ...]] = {"PostNodeHeartbeat": ("client_now",)}
_DOCUMENT = Contract.packaged().document


def example_body(operation_id: str) -> dict[str, Any] | None:
    """The first example of the operation's body as it stands in the file; None without a body."""
    for item in _DOCUMENT["paths"].values():
        for operation in item.values():
            if operation["operationId"] == operation_id and "requestBody" in operation:
                examples = operation["requestBody"]["content"]["application/json"]["examples"]
                name = next(iter(examples.values()))["$ref"].rpartition("/")[2]
                value: dict[str, Any] = _DOCUMENT["components"]["examples"][name]["value"]
                return dict(value)
    return None


def body_now(operation_id: str, **changes: Any) -> bytes | None:
    """A body that is accepted now, but for the ``changes``; None without a body."""
    value = example_body(operation_id)
    if value is None:
        return None
    value |= dict.fromkeys(MOMENTS.get(operation_id, ()), moment())
    return json.dumps(value | changes).encode()


def moment(seconds: float = 0.0) -> str:
    """The moment ``seconds`` from now, as an agent writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
