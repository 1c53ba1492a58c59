"""Drift gates of schemas and the values that are sent: fields, order, types, optionality, words.

As in ``drift.py``: plain functions from what is compared to complaints.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

# A value's field whose name Python keeps for itself, or that another value has as well.
RESPELLED = {
    "from_": "from",
    "secret": "nsk",
    "EventKey.id": "signing_key_id",
    "EventKey.public_key": "signing_public_key",
}
JSON_TYPE: Mapping[object, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    UUID: "string",
    bytes: "string",
    datetime: "string",
    timedelta: "string",
}
UUID_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
# What else a type says; a text that had one of these formats would be a value of its type.
FORMAT: Mapping[object, str] = {
    int: "int32",
    UUID: "uuid",
    bytes: "byte",
    datetime: "date-time",
}


@dataclass(frozen=True, slots=True)
class Composed:
    """One object of several values, or of one that it does not share everything with.

    ``elsewhere`` are properties that are in none of the values, ``unsent`` are fields that are not
    on the wire, ``empty`` texts that are left out where they are empty.
    """

    values: tuple[type, ...]
    elsewhere: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


Values = Mapping[str, "type | Composed"]


def value_complaints(schemas: Mapping[str, Any], values: Values, schema_name: str) -> list[str]:
    """One schema against its value: fields, order, types, optionality, both ways."""
    schema, found = schemas[schema_name], values[schema_name]
    composed = found if isinstance(found, Composed) else Composed((found,))
    fields = {
        spelled: hint | None if spelled in composed.empty else hint
        for value in composed.values
        for name, hint in _fields(value).items()
        if name not in composed.unsent
        for spelled in (_spelled(value, name),)
    }
    every: Mapping[str, Any] = schema["properties"]
    properties = {
        name: subschema for name, subschema in every.items() if name not in composed.elsewhere
    }
    complaints = [f"{schema_name}.{name} is in no value" for name in properties.keys() - fields]
    complaints += [f"{schema_name} has no property {name}" for name in fields.keys() - properties]
    if not complaints and list(fields) != list(properties):
        complaints.append(f"{schema_name}: the orders differ")
    for name in fields.keys() & properties.keys():
        required = name in schema.get("required", ())
        complaints += _field_complaints(
            schemas, values, f"{schema_name}.{name}", fields[name], properties[name], required
        )
    return complaints


def _spelled(value: type, name: str) -> str:
    return RESPELLED.get(f"{value.__name__}.{name}", RESPELLED.get(name, name))


def _fields(value: type) -> dict[str, Any]:
    hints = typing.get_type_hints(value)
    return {field.name: hints[field.name] for field in dataclasses.fields(value) if field.compare}


def _field_complaints(
    schemas: Mapping[str, Any],
    values: Values,
    where: str,
    hint: Any,
    declared: Mapping[str, Any],
    required: bool,
) -> list[str]:
    target = declared.get("$ref", "").rpartition("/")[2]
    resolved = schemas[target] if target else declared
    may_be_none = type(None) in typing.get_args(hint)
    may_be_absent = not required or resolved.get("nullable", False)
    if may_be_none != may_be_absent:
        return [f"{where}: None in the value is {may_be_none}, absent or null is {may_be_absent}"]
    return _type_complaints(schemas, values, where, _without_none(hint), declared)


def _type_complaints(
    schemas: Mapping[str, Any],
    values: Values,
    where: str,
    hint: Any,
    declared: Mapping[str, Any],
) -> list[str]:
    """Type, format and, of an array, the same of its items."""
    target = declared.get("$ref", "").rpartition("/")[2]
    value = values.get(target)
    if isinstance(value, type):
        return [] if hint is value else [f"{where}: not a {value.__name__}"]
    resolved = schemas[target] if target else declared
    found = _json_type(hint)
    if found != resolved.get("type"):
        return [f"{where}: {found}, not {resolved['type']}"]
    if found == "array":
        return _type_complaints(schemas, values, f"{where}[]", _item(hint), resolved["items"])
    if hint is int and resolved.get("format") == "int64":  # Python's is as wide as is needed
        return []
    expected = FORMAT.get(hint)
    is_uuid = resolved.get("pattern") == UUID_PATTERN
    declared = "uuid" if is_uuid else resolved.get("format")
    if found != "object" and declared != expected:
        return [f"{where}: format {expected}, not {declared}"]
    return []


def enum_complaints(
    schemas: Mapping[str, Any],
    names: Sequence[str],
    known: Mapping[tuple[str, str], Collection[str]],
) -> list[str]:
    """The enums of these schemas against the words the code and the ledger know, both ways."""
    declared = {
        (name, key): set(resolved["enum"])
        for name in names
        for key, subschema in schemas[name]["properties"].items()
        if "enum"
        in (resolved := schemas.get(subschema.get("$ref", "").rpartition("/")[2], subschema))
    }
    complaints = [
        f"{'.'.join(at)}: an enum that the code does not know" for at in declared.keys() - known
    ]
    complaints += [f"{'.'.join(at)}: no enum in the file" for at in known.keys() - declared]
    for at in declared.keys() & known.keys():
        complaints += [
            f"{'.'.join(at)}: {word!r} is not on both sides" for word in declared[at] ^ {*known[at]}
        ]
    return sorted(complaints)


def checked_words(sql: str, table: str, column: str) -> set[str]:
    """The words that a column of the ledger admits, out of its CHECK in db/schema.sql."""
    _, _, rest = sql.partition(f"CREATE TABLE plexsphere.{table} (")
    body = rest.partition("\n);")[0]
    found = re.search(rf"CHECK \(\({column} = ANY \(ARRAY\[([^\]]*)\]\)\)\)", body)
    return set(re.findall(r"'([^']*)'", found[1])) if found else set()


def _item(hint: Any) -> Any:
    """The type of the items of a ``tuple[X, ...]`` or of a class of a ``Sequence[X]``."""
    if typing.get_origin(hint) is tuple:
        return typing.get_args(hint)[0]
    bases = getattr(hint, "__orig_bases__", ())
    return next(typing.get_args(base)[0] for base in bases)


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        left = [part for part in typing.get_args(hint) if part is not type(None)]
        return left[0] if len(left) == 1 else hint
    return hint


def _json_type(hint: Any) -> str:
    origin = typing.get_origin(hint) or hint
    if origin in JSON_TYPE:
        return JSON_TYPE[origin]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "object"
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return "array"
    return str(hint)
