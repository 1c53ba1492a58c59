"""Which schemas can be held against a body block by block, as a memory of valid blocks needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from server.contract.schemas import Validator

Schema = Mapping[str, Any]
# What says nothing about a value, and all that a block-wise check looks at beside it.
SILENT = frozenset({"title", "description", "example", "default", "deprecated", "externalDocs"})
OF_THE_OBJECT = SILENT | {"type", "additionalProperties", "required", "properties"}
OF_AN_ARRAY = SILENT | {"type", "items"}


@dataclass(frozen=True, slots=True)
class BlockContract:
    """A JSON object schema taken apart: one validator a property, to check blocks on their own.

    ``by_element`` are the properties that say nothing about an array but what each element is: one
    that is valid stays so without one of them.
    """

    required: frozenset[str]
    properties: Mapping[str, Validator]
    by_element: frozenset[str]


def taken_apart(
    schema: Schema, resolve: Callable[[Schema], Schema], compiled: Callable[[Schema], Validator]
) -> BlockContract | None:
    """None where the schema says more than what each of its properties says."""
    schema = resolve(schema)
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
        return None
    if not _says_only(schema, OF_THE_OBJECT):
        return None
    properties = schema.get("properties", {})
    return BlockContract(
        required=frozenset(schema.get("required", ())),
        properties={name: compiled(one) for name, one in properties.items()},
        by_element=frozenset(
            name for name, one in properties.items() if _says_only(resolve(one), OF_AN_ARRAY)
        ),
    )


def _says_only(schema: Schema, rules: frozenset[str]) -> bool:
    return all(rule in rules or rule.startswith("x-") for rule in schema)
