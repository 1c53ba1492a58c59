"""A Domain: a mesh of Nodes that share an address range and a key directory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from composer.reachability_policy import ReachabilityPolicy


@dataclass(frozen=True, slots=True)
class Domain:
    """What its row says; ``mesh_cidr`` is canonical text, times are aware.

    A Domain that an operator put into the ledger by hand may lack a slug and a range. Without a
    policy of its own the service's numbers hold.
    """

    id: UUID
    name: str
    slug: str | None
    description: str | None
    region: str | None
    mesh_cidr: str | None
    created_at: datetime
    reachability: ReachabilityPolicy | None = None
