"""A request body for each operation that declares one: the contract's first example, of now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from server.contract import Contract
from tests.contract.documented import documented

JSON = {"Content-Type": "application/json"}
# Members that say what time it is with the caller.
MOMENTS: Mapping[str, tuple[str, ...]] = {"PostNodeHeartbeat": ("client_now",)}
_DOCUMENTED = documented(Contract.packaged().document)


def example_body(operation_id: str) -> dict[str, Any] | None:
    """The first example of the operation's body as it stands in the file; None without a body."""
    shown = _DOCUMENTED.get((operation_id, "body"), {}).get("application/json")
    return dict(next(iter(shown.values()))) if shown else None


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
