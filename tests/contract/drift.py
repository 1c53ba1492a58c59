"""Drift gates: each says, by name, where the contract and the code have parted.

Plain functions from what is compared to complaints, so that a test can show each one failing.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from handlers.refusals import RefusalKind

# A value's field whose name Python keeps for itself.
RESPELLED = {"from_": "from"}
JSON_TYPE: Mapping[object, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    UUID: "string",
    bytes: "string",
    datetime: "string",
}


def value_complaints(
    schemas: Mapping[str, Any], values: Mapping[str, type], schema_name: str
) -> list[str]:
    """One schema against its value: fields, order, types, optionality, both ways."""
    schema, value = schemas[schema_name], values[schema_name]
    hints = typing.get_type_hints(value)
    fields = {RESPELLED.get(f.name, f.name): hints[f.name] for f in dataclasses.fields(value)}
    properties: Mapping[str, Any] = schema["properties"]
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


def _field_complaints(
    schemas: Mapping[str, Any],
    values: Mapping[str, type],
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
    bare = _without_none(hint)
    if target in values:
        return [] if bare is values[target] else [f"{where}: not a {values[target].__name__}"]
    found = _json_type(bare)
    return [] if found == resolved.get("type") else [f"{where}: {found}, not {resolved['type']}"]


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        left = [one for one in typing.get_args(hint) if one is not type(None)]
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


def code_complaints(
    declared: set[str], catalogue: Sequence[RefusalKind], documented: str
) -> list[str]:
    """Problem codes of the file, of the catalogue and of docs/problems.md, against each other."""
    known = {kind.code for kind in catalogue if kind.code is not None}
    written = set(re.findall(r"^\| \d{3} \| `([a-z_]+)` \|", documented, re.MULTILINE))
    complaints = [f"code {code} is declared and no refusal has it" for code in declared - known]
    complaints += [f"refusal {code} is not declared" for code in known - declared]
    complaints += [f"code {code} is not in docs/problems.md" for code in declared - written]
    complaints += [
        f"docs/problems.md has {code}, which is not declared" for code in written - declared
    ]
    return sorted(complaints)


def status_complaints(
    declared: set[tuple[int, str | None]], catalogue: Sequence[RefusalKind], documented: str
) -> list[str]:
    """The status beside each code, likewise; a refusal without a code has a dash for one."""
    known = {(kind.status, kind.code) for kind in catalogue}
    rows = re.findall(r"^\| (\d{3}) \| (?:`([a-z_]+)`|-) \|", documented, re.MULTILINE)
    written = {(int(status), code or None) for status, code in rows}
    places = {"the file": declared, "the catalogue": known, "docs/problems.md": written}
    every = set().union(*places.values())
    return sorted(
        f"{code or 'no code'} with {status} is not in {place}"
        for place, pairs in places.items()
        for status, code in every - pairs
    )


def byte_complaints(copies: Mapping[str, bytes]) -> list[str]:
    """Copies of the contract, by where they are from, that are not the first one byte for byte."""
    (first, expected), *others = copies.items()
    return [f"the contract of {name} is not {first}'s" for name, raw in others if raw != expected]


def route_complaints(served: Mapping[str, set[str]], declared: Mapping[str, set[str]]) -> list[str]:
    """URLs and methods that the application serves and the file lacks, and the reverse."""
    complaints = [f"{path} is served and not declared" for path in served.keys() - declared.keys()]
    complaints += [f"{path} is declared and not served" for path in declared.keys() - served.keys()]
    for path in served.keys() & declared.keys():
        if served[path] != declared[path]:
            complaints.append(f"{path}: serves {served[path]}, declares {declared[path]}")
    return sorted(complaints)


def table_complaints(
    operations: Sequence[str], tables: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Operations that a coverage table does not name, and names that are no operation."""
    complaints = []
    for title, table in tables.items():
        complaints += [
            f"{name} is missing from the {title} table" for name in operations if name not in table
        ]
        complaints += [
            f"the {title} table names {name}, no operation"
            for name in table
            if name not in operations
        ]
    return complaints
