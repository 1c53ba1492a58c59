"""What Connexion finds wrong with the shape of a contract, at the place its author has to mend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from connexion.exceptions import InvalidSpecification
from connexion.spec import Specification
from jsonschema import ValidationError

from server.contract.errors import Path


class ShapeFault(NamedTuple):
    """``key`` where the path ends in a key that has no business there, else its value is meant."""

    path: Path
    sentence: str
    key: bool = False


def shape_fault(document: dict[str, Any]) -> ShapeFault | None:
    """The one that matters most; None where there is none."""
    try:
        Specification.from_dict(document)
    except InvalidSpecification as error:
        return _told(document, _reasons(error))
    except Exception as error:  # whatever the library stumbles over is the author's to know
        return ShapeFault((), f"{type(error).__name__}: {error}")
    return None


def _reasons(error: ValidationError) -> list[ValidationError]:
    """The deepest reasons behind an error: of alternatives, those that came furthest."""
    alternatives: dict[object, list[ValidationError]] = {}
    for one in error.context or ():
        # Everything may be a $ref instead, which is never what was meant where there is none.
        if one.validator != "required" or one.validator_value != ["$ref"]:
            alternatives.setdefault(one.relative_schema_path[0], []).extend(_reasons(one))
    if not alternatives:
        return [error]
    furthest = max(map(_rank, alternatives.values()))
    return [
        reason
        for reasons in alternatives.values()
        if _rank(reasons) == furthest
        for reason in reasons
        if len(reason.absolute_path) == furthest[0]
    ]


def _rank(reasons: Sequence[ValidationError]) -> tuple[int, int]:
    return max(len(one.absolute_path) for one in reasons), -len(reasons)


def _told(document: dict[str, Any], reasons: Sequence[ValidationError]) -> ShapeFault:
    first = reasons[0]
    path: Path = tuple(first.absolute_path)
    if first.validator == "additionalProperties":
        name = next(_strangers(first), "")
        return ShapeFault((*path, name), f"the key {name} is unknown here", key=True)
    if all(one.validator == "enum" and one.absolute_path == first.absolute_path for one in reasons):
        values = dict.fromkeys(value for one in reasons for value in one.validator_value)
        return ShapeFault(path, f"{first.instance!r} is not one of {[*values]!r}")
    found: Any = document
    for part in path:
        found = found[part]
    # A schema of the author's own is broken by nothing but its default.
    return ShapeFault((*path, "default") if first.schema == found else path, first.message)


def _strangers(error: ValidationError) -> Iterator[str]:
    patterns = error.schema.get("patternProperties", ())
    for name in error.instance:
        known = name in error.schema.get("properties", ())
        if not known and not any(re.search(one, name) for one in patterns):
            yield name
