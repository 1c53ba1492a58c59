"""Finds where a contract breaks the schema of OpenAPI, which is Connexion's.

jsonschema-rs decides in a hundredth of the time; jsonschema finds the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

import jsonschema_rs
from connexion.spec import OpenAPISpecification
from jsonschema import Draft4Validator, ValidationError

from server.contract.errors import ContractFault


def shape_faults(document: dict[str, Any]) -> Iterator[ContractFault]:
    """The most specific fault of each part."""
    schema = OpenAPISpecification.openapi_schema
    if jsonschema_rs.Draft4Validator(schema).is_valid(document):
        return
    for error in Draft4Validator(schema).iter_errors(document):
        yield _fault(_reasons(error))


def _reasons(error: ValidationError) -> list[ValidationError]:
    """The deepest causes of an error; of alternatives, those whose causes are the deepest."""
    alternatives: dict[object, list[ValidationError]] = {}
    for cause in error.context or ():
        # OpenAPI allows a $ref nearly everywhere; "no $ref" does not help the author.
        if cause.validator != "required" or cause.validator_value != ["$ref"]:
            alternatives.setdefault(cause.relative_schema_path[0], []).extend(_reasons(cause))
    if not alternatives:
        return [error]
    deepest = max(map(_rank, alternatives.values()))
    return [
        reason
        for reasons in alternatives.values()
        if _rank(reasons) == deepest
        for reason in reasons
        if len(reason.absolute_path) == deepest[0]
    ]


def _rank(reasons: Sequence[ValidationError]) -> tuple[int, int]:
    return max(len(reason.absolute_path) for reason in reasons), -len(reasons)


def _fault(reasons: Sequence[ValidationError]) -> ContractFault:
    first = reasons[0]
    path = tuple(first.absolute_path)
    if first.validator == "additionalProperties":
        name = next(_unknown_keys(first), "")
        return ContractFault((*path, name), f"the key {name} is unknown here", is_key=True)
    if all(
        reason.validator == "enum" and reason.absolute_path == first.absolute_path
        for reason in reasons
    ):
        allowed: list[Any] = [reason.validator_value for reason in reasons]
        values = dict.fromkeys(value for part in allowed for value in part)
        return ContractFault(path, f"{first.instance!r} is not one of {[*values]!r}")
    return ContractFault(path, first.message)


def _unknown_keys(error: ValidationError) -> Iterator[str]:
    schema, instance = cast(Any, error.schema), cast(Any, error.instance)
    patterns = schema.get("patternProperties", ())
    for name in instance:
        known = name in schema.get("properties", ())
        if not known and not any(re.search(pattern, name) for pattern in patterns):
            yield name
