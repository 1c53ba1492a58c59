"""Domains and their Nodes to JSON values: keys in schema order, absent keys absent."""

from __future__ import annotations

from composer.domain import Domain
from handlers.wire_values import Json, instant


def domain_value(domain: Domain) -> Json:
    """A Domain."""
    value: Json = {"id": str(domain.id), "name": domain.name}
    optional = {
        "slug": domain.slug,
        "description": domain.description,
        "region": domain.region,
        "mesh_cidr": domain.mesh_cidr,
    }
    value |= {name: text for name, text in optional.items() if text is not None}
    value["created_at"] = instant(domain.created_at)
    return value
