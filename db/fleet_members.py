"""What is in the Domains of a simulated fleet, whichever runs registered it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from composer.deadline import Deadline
from db.connections import OneReader
from db.statements import Prepared

FLEET_MEMBERS = Prepared("fleet_members")


@dataclass(frozen=True, slots=True)
class FleetMember:
    """A Node in a Domain; without a Node where the Domain has none."""

    domain_id: str
    node_id: str | None
    name: str | None
    public_key: bytes | None


def fleet_members(
    reader: OneReader, slugs: Sequence[str], ranges: Sequence[str], deadline: Deadline
) -> list[FleetMember]:
    """By Domain, then by Node. Raises DatastoreUnavailable."""
    arguments = {"slugs": list(slugs), "ranges": list(ranges)}
    return [
        FleetMember(domain_id, node_id, name, None if key is None else bytes(key))
        for domain_id, node_id, name, key in reader.fetch(FLEET_MEMBERS, arguments, deadline)
    ]
