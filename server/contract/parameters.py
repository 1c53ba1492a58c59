"""Declared parameters, and their texts as the values their schemas speak of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.contract.errors import ContractError
from server.contract.schemas import Validator

# OpenAPI's defaults, and all that is read here: repeated names in a query, else commas.
STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
# As many digits as an int64 has: Python refuses to read thousands of them.
_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?([eE][+-]?[0-9]{1,2})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParameterContract:
    """A declared parameter; ``kind`` is path, query, header or cookie.

    ``given`` says that a handler always gets a value: it is required, or has a default.
    ``item_type`` is there for an array, which ``explode`` spreads over repeated names.
    """

    name: str
    kind: str
    required: bool
    schema_type: str
    validator: Validator
    given: bool = True
    item_type: str | None = None
    explode: bool = True

    @property
    def repeatable(self) -> bool:
        """Whether its name may be given more than once."""
        return self.item_type is not None and self.explode


def described(
    parameter: Mapping[str, Any],
    schema: Mapping[str, Any],
    items: Mapping[str, Any],
    validator: Validator,
) -> ParameterContract:
    """A parameter of the file, its schema and that of its items with references followed.

    Raises ContractError for one whose texts ``value_of`` would read otherwise than they are meant.
    """
    required = parameter.get("required", False)
    schema_type = schema.get("type", "string")
    explode = parameter.get("explode", parameter["in"] in ("query", "cookie"))
    usual = STYLES[parameter["in"]]
    if parameter.get("style", usual) != usual:
        raise ContractError(f"in {parameter['in']}, only style {usual} is read", parameter, "style")
    if schema_type == "object" or items.get("type") in ("object", "array"):
        raise ContractError("no text is read as an object, or as items of items", parameter)
    if schema_type == "array" and explode and parameter["in"] != "query":
        raise ContractError("only in query an array is exploded", parameter, "explode")
    return ParameterContract(
        name=parameter["name"],
        kind=parameter["in"],
        required=required,
        schema_type=schema_type,
        validator=validator,
        given=required or "default" in schema,
        item_type=items.get("type", "string") if schema_type == "array" else None,
        explode=explode,
    )


def value_of(parameter: ParameterContract, texts: Sequence[str]) -> object:
    """What the texts stand for; the text itself where it is no value of its type."""
    if parameter.item_type is None:
        return _typed(texts[0], parameter.schema_type)
    parts = texts if parameter.explode else texts[0].split(",")
    return [_typed(part, parameter.item_type) for part in parts]


def _typed(text: str, schema_type: str) -> object:
    if schema_type == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if schema_type == "number" and _NUMBER.fullmatch(text):
        return float(text)
    if schema_type == "boolean" and text in ("true", "false"):
        return text == "true"
    return text
