"""A request body for each operation that declares one: the contract's first example, of now.

And of an answer that is JSON, for what stands in for a port.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from secrets import token_bytes, token_hex
from typing import Any

from server.contract.document import Contract
from tests.contract.documented import documented

JSON = {"Content-Type": "application/json"}
# Members that say what time it is with the caller.
MOMENTS: Mapping[str, tuple[str, ...]] = {"PostNodeHeartbeat": ("client_now",)}


def _fresh_domain() -> dict[str, object]:
    """A slug and a range that no Domain has: the range is one of IPv6's unique local ones."""
    unique = token_hex(5)
    network = ip_network(f"fd{unique[:2]}:{unique[2:6]}:{unique[6:]}::/64")
    return {
        "slug": f"scratch-{token_hex(8)}",
        "mesh_cidr": str(network),
        **_sound_policy(),
    }


def _sound_policy() -> dict[str, object]:
    durations = {"heartbeat_interval": "30s", "stale_after": "90s", "unreachable_after": "5m"}
    return {"reachability": durations}


def _fresh_key() -> dict[str, object]:
    return {"public_key": b64encode(token_bytes(32)).decode()}


# Members that no two requests share, where sharing them is a conflict; and what agrees with itself,
# which no schema can say of durations.
FRESH: Mapping[str, Callable[[], dict[str, object]]] = {
    "CreateDomain": _fresh_domain,
    "PatchDomain": _sound_policy,
    "RegisterNode": _fresh_key,
    "PostRegister": lambda: _fresh_key() | {"nonce": token_hex(16)},
    "RotateNodeKey": _fresh_key,
}
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
    value |= FRESH.get(operation_id, dict)()
    return json.dumps(value | changes).encode()


def moment(seconds: float = 0.0) -> str:
    """The moment ``seconds`` from now, as an agent writes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
