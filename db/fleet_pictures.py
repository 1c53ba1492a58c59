"""What every Node of a Domain should look like, asked of the ledger in one plain statement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from composer.deadline import Deadline
from db.connections import Row
from db.fleet import Reader
from db.statements import Prepared

FLEET_PICTURES = Prepared("expected_nodes")
UNUSABLE = (None, "", "0.0.0.0", "::")

Value = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LedgerPicture:
    """A Node as values of JSON; ``peer`` is how others see it, None where its row is unusable.

    Of a bridge only whether there is one.
    """

    node_id: str
    peer: Value | None
    policy: Value | None
    hosts_a_bridge: bool
    state: Value


class LedgerPictures:
    """Raises DatastoreUnavailable."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def of_domain(self, domain_id: UUID, deadline: Deadline) -> list[LedgerPicture]:
        """Every Node of the Domain, ascending by id."""
        found = self._reader.fetch(FLEET_PICTURES, {"domain_id": str(domain_id)}, deadline)
        return [_picture(row) for row in found]


def _picture(row: Row) -> LedgerPicture:
    node_id, mesh_ip, public_key, fallback, policy, hosts_a_bridge, state = row
    peer: dict[str, Any] | None = None
    if mesh_ip not in UNUSABLE and public_key:
        peer = {"node_id": node_id, "mesh_ip": mesh_ip, "public_key": public_key}
        if fallback is not None:
            peer["fallback_endpoint"] = fallback
    wanted = None if policy is None else json.loads(policy)
    return LedgerPicture(node_id, peer, wanted, hosts_a_bridge, json.loads(state))
