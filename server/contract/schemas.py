"""OpenAPI 3.0 schemas compiled for jsonschema-rs, with every format asserted.

OpenAPI 3.0 is Draft 4 with extras. Translated are ``nullable``, and the formats that Draft 4 or the
library leave unchecked: they become rules that the library does check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import jsonschema_rs

from server.contract.errors import ContractError, reading

# Formats that Draft 4 or the library do not check, as rules it does (a callback costs 3x).
_FORMATS: Mapping[str, Mapping[str, Any]] = {
    "uuid": {"pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
    "byte": {
        "pattern": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
    },
    "int32": {"minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"minimum": -(2**63), "maximum": 2**63 - 1},
    # the library also takes a lower-case t and z, which RFC 3339 allows and our contract does not
    "date-time": {"format": "date-time", "pattern": "^[^a-z]*$"},
    "uri": {"format": "uri"},
}
_DROPPED = {"nullable", "format", "example", "description", "title", "deprecated", "xml"}
_MAPS = {"properties", "definitions"}
_LISTS = {"allOf", "anyOf", "oneOf"}
_SINGLES = {"items", "not", "additionalProperties"}


class Fault(NamedTuple):
    """Where a value breaks a schema: two JSON pointers, and never the value."""

    pointer: str
    rule: str


class Validator:
    """One compiled schema. Thread-safe; holds the interpreter lock while it runs."""

    __slots__ = ("_compiled",)

    def __init__(self, compiled: jsonschema_rs.Draft4Validator) -> None:
        self._compiled = compiled

    def is_valid(self, value: object) -> bool:
        """Whether the value holds every rule."""
        return self._compiled.is_valid(value)

    def fault(self, value: object) -> Fault | None:
        """The first rule broken, or None."""
        if self._compiled.is_valid(value):
            return None
        error = next(iter(self._compiled.iter_errors(value)))
        return Fault(_pointer(error.instance_path), _pointer(error.schema_path))

    def faults(self, value: object) -> list[Fault]:
        """Every rule broken, in the library's order."""
        return [
            Fault(_pointer(error.instance_path), _pointer(error.schema_path))
            for error in self._compiled.iter_errors(value)
        ]


class SchemaCompiler:
    """Compiles schemas that may refer to the file's components."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._definitions = {name: translate(schema) for name, schema in components.items()}
        self._compiled: dict[str, Validator] = {}

    def compile(self, schema: Mapping[str, Any]) -> Validator:
        """A validator for one schema of the file; the same one for the same rules."""
        with reading(schema):
            rules = translate(schema)
            known = repr(rules)
            if known not in self._compiled:
                document = {"allOf": [rules], "definitions": self._definitions}
                compiled = jsonschema_rs.Draft4Validator(
                    document, validate_formats=True, ignore_unknown_formats=False, offline=True
                )
                self._compiled[known] = Validator(compiled)
            return self._compiled[known]


def translate(schema: Any) -> Any:
    """One OpenAPI 3.0 schema as Draft 4, nested ones included."""
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        return {"$ref": _local(schema["$ref"])}
    rules: dict[str, Any] = {}
    _check_pattern(schema)
    for key, value in schema.items():
        if key in _MAPS:
            rules[key] = {name: translate(one) for name, one in value.items()}
        elif key in _LISTS:
            rules[key] = [translate(one) for one in value]
        elif key in _SINGLES:
            rules[key] = translate(value)
        elif key not in _DROPPED and not key.startswith("x-"):
            rules[key] = value
    extra = list(_format_rules(schema))
    if extra:
        rules["allOf"] = [*rules.get("allOf", []), *extra]
    if schema.get("nullable"):
        _allow_null(schema, rules)
    return rules


def _allow_null(schema: Mapping[str, Any], rules: dict[str, Any]) -> None:
    if "type" not in rules:
        raise ContractError("nullable needs a type beside it", schema, "nullable")
    rules["type"] = [rules["type"], "null"]
    if "enum" in rules:
        rules["enum"] = [*rules["enum"], None]


def _format_rules(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    name = schema.get("format")
    if name is None:
        return
    if name not in _FORMATS:
        raise ContractError(
            f"format {name!r} has no check in server/contract/schemas.py", schema, "format"
        )
    yield _FORMATS[name]


def _check_pattern(schema: Mapping[str, Any]) -> None:
    """On its own: an error about the whole schema would not say which of its patterns it means."""
    if "pattern" in schema and not _is_pattern(schema["pattern"]):
        raise ContractError("the pattern does not compile", schema, "pattern")


@cache
def _is_pattern(pattern: str) -> bool:
    try:
        jsonschema_rs.Draft4Validator({"pattern": pattern})
    except ValueError:
        return False
    return True


@cache
def _local(reference: str) -> str:
    return reference.replace("#/components/schemas/", "#/definitions/")


def _pointer(path: Any) -> str:
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
