"""The values that a schema admits: references followed, ``allOf`` folded in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import product
from typing import Any

from deploy.breaking.documents import Document, Place, Unreadable

NULL = "null"
ANY = frozenset({"string", "number", "integer", "boolean", "array", "object", NULL})
LOWER = ("minimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")

Additional = Place | bool | None
Bound = tuple[float, bool]  # the limit, and whether it is exclusive
_EXCLUSIVE = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}


@dataclass(frozen=True, slots=True)
class Shape:
    """``additional`` is the schema of unlisted keys, or whether they are allowed, or absent."""

    pointer: str = "#"
    types: frozenset[str] = ANY
    enum: frozenset[str] | None = None  # as JSON texts: true is not 1
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    patterns: frozenset[str] = frozenset()
    formats: frozenset[str] = frozenset()
    multiples: frozenset[float] = frozenset()
    unique: bool = False
    properties: Mapping[str, Place] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    additional: Additional = None
    items: Place | None = None
    negated: tuple[Place, ...] = ()
    alternatives: tuple[Place, ...] = ()
    discriminator: str | None = None
    default: str | None = None
    read_only: bool = False
    write_only: bool = False


_ANYTHING = Shape()  # one object, because pairs of shapes are compared by identity


def intersection(first: Shape, other: Shape) -> Shape:
    """The values that both shapes admit."""
    enums = [shape.enum for shape in (first, other) if shape.enum is not None]
    properties = {
        name: all_of([part.properties[name] for part in (first, other) if name in part.properties])
        for name in {**first.properties, **other.properties}
    }
    items = [shape.items for shape in (first, other) if shape.items is not None]
    return Shape(
        pointer=first.pointer,
        types=first.types & other.types,
        enum=frozenset.intersection(*enums) if enums else None,
        bounds=_stricter(first.bounds, other.bounds),
        patterns=first.patterns | other.patterns,
        formats=first.formats | other.formats,
        multiples=first.multiples | other.multiples,
        unique=first.unique or other.unique,
        properties=properties,
        required=first.required | other.required,
        additional=_stricter_additional(first.additional, other.additional),
        items=all_of(items) if items else None,
        negated=first.negated + other.negated,
        alternatives=choices([first.alternatives, other.alternatives]),
        discriminator=first.discriminator or other.discriminator,
        default=first.default if first.default is not None else other.default,
        read_only=first.read_only or other.read_only,
        write_only=first.write_only or other.write_only,
    )


def all_of(places: Sequence[Place]) -> Place:
    """One schema for several that apply at once."""
    if len(places) == 1:
        return places[0]
    return Place({"allOf": [place.value for place in places]}, places[0].pointer)


def choices(groups: Sequence[Sequence[Place]]) -> tuple[Place, ...]:
    """One list of alternatives; of several groups, one alternative of each must apply."""
    present = [group for group in groups if group]
    return tuple(map(all_of, product(*present))) if present else ()


def _stricter(first: Mapping[str, Bound], other: Mapping[str, Bound]) -> dict[str, Bound]:
    bounds = {**first, **other}
    for key in first.keys() & other.keys():
        if key in LOWER:
            bounds[key] = max(first[key], other[key])
        else:
            bounds[key] = min(first[key], other[key], key=lambda bound: (bound[0], not bound[1]))
    return bounds


def _stricter_additional(first: Additional, other: Additional) -> Additional:
    if first is False or other is False:
        return False
    schemas = [additional for additional in (first, other) if isinstance(additional, Place)]
    if schemas:
        return all_of(schemas)
    return first if first is not None else other


class Shapes:
    """The shapes of one document, one object for each schema."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._made: dict[int, tuple[Any, Shape]] = {}
        self._open: set[int] = set()

    def of(self, place: Place | None) -> Shape:
        """The shape at a place. No schema admits anything, and so does A inside of A itself."""
        if place is None:
            return _ANYTHING
        place = self.document.follow(place)
        key = id(place.value)
        if key in self._open:
            return _ANYTHING
        if key not in self._made:
            self._open.add(key)
            try:
                # The value is kept too: an identity is valid only while its object exists.
                self._made[key] = (place.value, self._fold(place))
            finally:
                self._open.discard(key)
        return self._made[key][1]

    def _fold(self, place: Place) -> Shape:
        members = self.document.mapping(place)
        parts = [self.of(part) for part in self.document.listing(members.get("allOf"))]
        try:
            return reduce(intersection, parts, _own(self.document, place, members))
        except (TypeError, ValueError, AttributeError) as error:
            raise Unreadable(f"{self.document.name}: {place.pointer} is not a schema.") from error


def _own(document: Document, place: Place, members: Mapping[str, Place]) -> Shape:
    """The shape of a schema without its ``allOf``."""
    keywords = {key: member.value for key, member in members.items()}
    additional = keywords.get("additionalProperties")
    if not isinstance(additional, bool | None):
        additional = members["additionalProperties"]
    enum = keywords.get("enum")
    return Shape(
        pointer=place.pointer,
        types=_types(keywords),
        enum=None if enum is None else frozenset(map(_json_text, enum)),
        bounds={key: _bound(key, keywords) for key in (*LOWER, *UPPER) if key in keywords},
        patterns=_texts([keywords["pattern"]] if "pattern" in keywords else []),
        formats=_texts([keywords["format"]] if "format" in keywords else []),
        multiples=frozenset([float(keywords["multipleOf"])] if keywords.get("multipleOf") else []),
        unique=keywords.get("uniqueItems") is True,
        properties=document.mapping(members.get("properties")),
        required=_texts(keywords.get("required", [])),
        additional=additional,
        items=members.get("items"),
        negated=(members["not"],) if "not" in keywords else (),
        alternatives=choices([document.listing(members.get(key)) for key in ("oneOf", "anyOf")]),
        discriminator=keywords.get("discriminator", {}).get("propertyName"),
        default=_json_text(keywords["default"]) if "default" in keywords else None,
        read_only=keywords.get("readOnly") is True,
        write_only=keywords.get("writeOnly") is True,
    )


def _types(keywords: Mapping[str, Any]) -> frozenset[str]:
    if "type" not in keywords:
        return ANY  # without a type, ``nullable`` has no meaning (OpenAPI 3.0.3)
    kinds = _texts([keywords["type"]]) | ({"integer"} if keywords["type"] == "number" else set())
    may_be_null = keywords.get("nullable") is True and None in keywords.get("enum", [None])
    return kinds | ({NULL} if may_be_null else set())


def _bound(key: str, keywords: Mapping[str, Any]) -> Bound:
    return float(keywords[key]), key in _EXCLUSIVE and keywords.get(_EXCLUSIVE[key]) is True


def _texts(values: Iterable[Any]) -> frozenset[str]:
    texts = frozenset(values)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("not all of them are strings")
    return texts


def _json_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
