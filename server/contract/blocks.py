"""Bodies that are validated block by block, so that valid blocks can be remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from server.contract.schemas import Schema, Validator

# Keywords that say nothing about a value, and the others that a validation by blocks respects.
_ANNOTATIONS = {"title", "description", "example", "default", "deprecated", "externalDocs"}
_OBJECT_KEYS = _ANNOTATIONS | {"type", "additionalProperties", "required", "properties"}
_ARRAY_KEYS = _ANNOTATIONS | {"type", "items"}


@dataclass(frozen=True, slots=True)
class BlockContract:
    """The schema of a JSON object as one validator for each property.

    ``by_element`` are arrays whose schema says only what each element is: a valid array stays valid
    without one of its elements.
    """

    required: frozenset[str]
    properties: Mapping[str, Validator]
    by_element: frozenset[str]


def block_contract(
    schema: Schema, follow: Callable[[Schema], Schema], compile: Callable[[Schema], Validator]
) -> BlockContract | None:
    """None where the schema says more than each of its properties says."""
    schema = follow(schema)
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
        return None
    properties: Mapping[str, Any] = schema.get("properties", {})
    targets = {name: follow(inner) for name, inner in properties.items()}
    if not _has_only(schema, _OBJECT_KEYS) or any("writeOnly" in one for one in targets.values()):
        return None
    return BlockContract(
        required=frozenset(schema.get("required", ())),
        properties={name: compile(inner) for name, inner in properties.items()},
        by_element=frozenset(
            name for name, target in targets.items() if _has_only(target, _ARRAY_KEYS)
        ),
    )


def _has_only(schema: Schema, keys: set[str]) -> bool:
    return all(key in keys or key.startswith("x-") for key in schema)
