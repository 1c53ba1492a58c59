"""Faults of single keywords of a schema, which the library would not tell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema_rs

from server.contract.errors import PartError
from server.contract.formats import RECEIVED
from server.contract.value_types import TYPES, is_of_type

Schema = Mapping[str, Any]


def keyword_faults(schema: Schema) -> Iterator[PartError]:
    """An unknown format, a pattern that does not compile, an enum value of another type."""
    yield from _pattern_faults(schema)
    yield from _enum_faults(schema)
    yield from _format_faults(schema)


def _format_faults(schema: Schema) -> Iterator[PartError]:
    name = schema.get("format")
    if name is not None and name not in RECEIVED:
        sentence = f"format {name!r} has no check in server/contract/formats.py"
        yield PartError(sentence, schema, "format")


def _pattern_faults(schema: Schema) -> Iterator[PartError]:
    if "pattern" in schema and not is_pattern(schema["pattern"]):
        yield PartError("the pattern does not compile", schema, "pattern")


def _enum_faults(schema: Schema) -> Iterator[PartError]:
    """A value that its own type forbids would never be accepted."""
    name, values = schema.get("type", ""), schema.get("enum")
    if name not in TYPES or not isinstance(values, list):
        return
    for index, value in enumerate(values):
        if value is None and schema.get("nullable"):
            continue
        if not is_of_type(value, name):
            sentence = f"the enum value {json.dumps(value)} is of another type than {name}"
            yield PartError(sentence, values, index)


@cache
def is_pattern(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft4Validator({"pattern": pattern})
    except ValueError:
        return False
    return True
