"""Declared parameters, and their texts as values of the types that their schemas declare."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.contract.errors import PartError
from server.contract.schemas import Follow, Schema, Validator, combined
from server.contract.value_types import TYPES, is_of_type

# OpenAPI's defaults, and the only styles that are read: repeated names in a query, else commas.
STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
# As many digits as an int64 has: Python refuses to read thousands of them.
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParameterContract:
    """A declared parameter; ``kind`` is path, query, header or cookie.

    ``has_value`` when a handler always gets a value: the parameter is required or has a default.
    ``item_type`` is the type of the items of an array, which ``explode`` spreads over repeated
    names.
    """

    name: str
    kind: str
    required: bool
    schema_type: str
    validator: Validator
    has_value: bool = True
    default: object = None
    item_type: str | None = None
    explode: bool = True

    @property
    def repeatable(self) -> bool:
        """Whether a request may have the name several times."""
        return self.item_type is not None and self.explode

    @property
    def plain_schema(self) -> dict[str, Any]:
        """The type and the default, without references and combinations."""
        schema: dict[str, Any] = {"type": self.schema_type}
        if self.item_type is not None:
            schema["items"] = {"type": self.item_type}
        if self.has_value and not self.required:
            schema["default"] = self.default
        return schema


def parameter_contract(
    parameter: Mapping[str, Any], follow: Follow, validator: Validator
) -> ParameterContract:
    """A parameter of the file.

    Raises PartError for a parameter whose texts ``value_of`` would read otherwise than the author
    means.
    """
    schema = parameter["schema"]
    required = parameter.get("required", False)
    kind = parameter["in"]
    schema_type = text_type(schema, follow)
    items = [part["items"] for part in combined(schema, follow) if "items" in part]
    item_type = text_type({"oneOf": items}, follow) if schema_type == "array" and items else None
    explode = parameter.get("explode", kind in ("query", "cookie"))
    usual = STYLES[kind]
    if parameter.get("style", usual) != usual:
        raise PartError(f"in {kind}, only style {usual} is read", parameter, "style")
    if schema_type == "object" or item_type in ("object", "array"):
        raise PartError("no text is read as an object, or as items of items", parameter)
    if schema_type == "array" and explode and kind != "query":
        raise PartError("only in query an array is exploded", parameter, "explode")
    defaults = [
        part["default"] for part in combined(schema, follow, ("allOf",)) if "default" in part
    ]
    return ParameterContract(
        name=parameter["name"],
        kind=kind,
        required=required,
        schema_type=schema_type,
        validator=validator,
        has_value=required or bool(defaults),
        default=defaults[0] if defaults else None,
        item_type=(item_type or "string") if schema_type == "array" else None,
        explode=explode,
    )


def text_type(schema: Schema, follow: Follow) -> str:
    """The only type of the values of a schema; a text where it names no type.

    Raises PartError where a text could be a value of several types.
    """
    types = possible_types(schema, follow)
    if types is None:
        return "string"
    if types == {"integer", "number"}:
        return "number"
    if len(types) != 1:
        names = " or ".join(sorted(types)) or "of no type at all"
        raise PartError(f"a text needs one type, and this value may be {names}", schema)
    return next(iter(types))


def possible_types(schema: Schema, follow: Follow) -> set[str] | None:
    """The types that a value may have, behind references and combinations; None for any."""
    schema = follow(schema)
    types = {schema["type"]} if "type" in schema else _types_of(schema.get("enum"))
    for inner in schema.get("allOf", ()):
        types = _both(types, possible_types(inner, follow))
    for key in ("oneOf", "anyOf"):
        parts = [possible_types(inner, follow) for inner in schema.get(key, ())]
        if parts and None not in parts:
            types = _both(types, set().union(*(part for part in parts if part is not None)))
    return types


def _types_of(values: Sequence[object] | None) -> set[str] | None:
    """The types of an enum's values."""
    if values is None:
        return None
    return {_type_of(value) for value in values}


def _type_of(value: object) -> str:
    return next((name for name in TYPES if is_of_type(value, name)), "null")


def value_of(parameter: ParameterContract, texts: Sequence[str]) -> object:
    """The value of the texts; the text itself where it is no value of its type."""
    if parameter.item_type is None:
        return _typed(texts[0], parameter.schema_type)
    parts = texts if parameter.explode else texts[0].split(",")
    return [_typed(part, parameter.item_type) for part in parts]


def _both(types: set[str] | None, others: set[str] | None) -> set[str] | None:
    if types is None or others is None:
        return others if types is None else types
    common = types & others
    if ("number" in types and "integer" in others) or ("integer" in types and "number" in others):
        common |= {"integer"}
    return common


def _typed(text: str, schema_type: str) -> object:
    if schema_type in ("integer", "number") and _INTEGER.fullmatch(text):
        return int(text)
    if schema_type == "number" and _NUMBER.fullmatch(text):
        return float(text)
    if schema_type == "boolean" and text in ("true", "false"):
        return text == "true"
    return text
