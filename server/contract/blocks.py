"""Bodies that are validated block by block, so that valid blocks can be remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from server.contract.schemas import Schema, SchemaCompiler, Validator

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
    schema: Schema, follow: Callable[[Schema], Schema], compiler: SchemaCompiler
) -> BlockContract | None:
    """The rules of each block; None where the schema says more than each of its properties says."""
    schema = follow(schema)
    properties: Mapping[str, Any] = schema.get("properties", {})
    if schema.get("type") != "object" or not properties or "x-free-keys" in schema:
        return None
    if schema.get("additionalProperties") not in (None, True, False):
        return None
    has_forbidden = any(map(compiler.forbids, properties.values()))
    if has_forbidden or not _has_only(schema, _OBJECT_KEYS):
        return None
    return BlockContract(
        required=frozenset(schema.get("required", ())),
        properties={name: compiler.compile(inner) for name, inner in properties.items()},
        by_element=frozenset(
            name for name, inner in properties.items() if _has_only(follow(inner), _ARRAY_KEYS)
        ),
    )


def _has_only(schema: Schema, keys: set[str]) -> bool:
    return all(key in keys or key.startswith("x-") for key in schema)
