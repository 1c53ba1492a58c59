"""Finds where a contract breaks the schema of OpenAPI, with Connexion's own check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from connexion.exceptions import InvalidSpecification
from connexion.spec import Specification
from jsonschema import ValidationError

from server.contract.errors import Path


class ShapeFault(NamedTuple):
    """A fault at a path; ``is_key`` where the fault is the key itself, not its value."""

    path: Path
    sentence: str
    is_key: bool = False


def shape_fault(document: dict[str, Any]) -> ShapeFault | None:
    """The most specific fault, or None."""
    try:
        Specification.from_dict(document)
    except InvalidSpecification as error:
        return _fault(document, _reasons(error))
    except Exception as error:  # the library also raises other errors for a faulty document
        return ShapeFault((), f"{type(error).__name__}: {error}")
    return None


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


def _fault(document: dict[str, Any], reasons: Sequence[ValidationError]) -> ShapeFault:
    first = reasons[0]
    path: Path = tuple(first.absolute_path)
    if first.validator == "additionalProperties":
        name = next(_unknown_keys(first), "")
        return ShapeFault((*path, name), f"the key {name} is unknown here", is_key=True)
    if all(
        reason.validator == "enum" and reason.absolute_path == first.absolute_path
        for reason in reasons
    ):
        values = dict.fromkeys(value for reason in reasons for value in reason.validator_value)
        return ShapeFault(path, f"{first.instance!r} is not one of {[*values]!r}")
    found: Any = document
    for part in path:
        found = found[part]
    # Only a ``default`` can break a schema of the contract itself.
    return ShapeFault((*path, "default") if first.schema == found else path, first.message)


def _unknown_keys(error: ValidationError) -> Iterator[str]:
    patterns = error.schema.get("patternProperties", ())
    for name in error.instance:
        known = name in error.schema.get("properties", ())
        if not known and not any(re.search(pattern, name) for pattern in patterns):
            yield name
