"""From a schema as it is written to what it admits: references followed, ``allOf`` folded in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from deploy.breaking.documents import Document, Place, Unreadable
from deploy.breaking.shapes import (
    ANY,
    LOWER,
    NULL,
    UPPER,
    Bound,
    Shape,
    meet,
    one_of_each,
)

_ANYTHING = Shape()  # one value, so that pairs of shapes can be told by identity
_LEFT_OUT = {"minimum": "exclusiveMinimum", "maximum": "exclusiveMaximum"}


class Shapes:
    """The shapes of one document, each made once, so that its identity stands for its schema."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._made: dict[int, tuple[Any, Shape]] = {}
        self._open: set[int] = set()

    def of(self, place: Place | None) -> Shape:
        """The shape at a place. Nothing there admits anything, as does A in: A is A and X."""
        if place is None:
            return _ANYTHING
        place = self.document.follow(place)
        key = id(place.value)
        if key in self._open:
            return _ANYTHING
        if key not in self._made:
            self._open.add(key)
            try:
                # The value is held as well: an identity is only good while its owner lives.
                self._made[key] = (place.value, self._fold(place))
            finally:
                self._open.discard(key)
        return self._made[key][1]

    def _fold(self, place: Place) -> Shape:
        members = self.document.mapping(place)
        parts = [self.of(one) for one in self.document.listing(members.get("allOf"))]
        try:
            return reduce(meet, parts, _own(self.document, place, members))
        except (TypeError, ValueError, AttributeError) as error:
            raise Unreadable(f"{self.document.name}: {place.pointer} is not a schema.") from error


def _own(document: Document, place: Place, members: Mapping[str, Place]) -> Shape:
    """What a schema says itself, its ``allOf`` aside."""
    said = {key: one.value for key, one in members.items()}
    additional = said.get("additionalProperties")
    if not isinstance(additional, bool | None):
        additional = members["additionalProperties"]
    enum = said.get("enum")
    return Shape(
        pointer=place.pointer,
        types=_types(said),
        enum=None if enum is None else frozenset(map(_json_text, enum)),
        bounds={key: _bound(key, said) for key in (*LOWER, *UPPER) if key in said},
        patterns=_texts([said["pattern"]] if "pattern" in said else []),
        formats=_texts([said["format"]] if "format" in said else []),
        multiples=frozenset([float(said["multipleOf"])] if said.get("multipleOf") else []),
        unique=said.get("uniqueItems") is True,
        properties=document.mapping(members.get("properties")),
        required=_texts(said.get("required", [])),
        additional=additional,
        items=members.get("items"),
        negated=(members["not"],) if "not" in said else (),
        alternatives=one_of_each(
            [document.listing(members.get(key)) for key in ("oneOf", "anyOf")]
        ),
        discriminator=said.get("discriminator", {}).get("propertyName"),
        default=_json_text(said["default"]) if "default" in said else None,
        read_only=said.get("readOnly") is True,
        write_only=said.get("writeOnly") is True,
    )


def _types(said: Mapping[str, Any]) -> frozenset[str]:
    if "type" not in said:
        return ANY  # and ``nullable`` beside no type says nothing (OpenAPI 3.0.3)
    kinds = _texts([said["type"]]) | ({"integer"} if said["type"] == "number" else set())
    may_be_null = said.get("nullable") is True and None in said.get("enum", [None])
    return kinds | ({NULL} if may_be_null else set())


def _bound(key: str, said: Mapping[str, Any]) -> Bound:
    return float(said[key]), key in _LEFT_OUT and said.get(_LEFT_OUT[key]) is True


def _texts(values: Iterable[Any]) -> frozenset[str]:
    found = frozenset(values)
    if not all(isinstance(one, str) for one in found):
        raise TypeError("not all of them are strings")
    return found


def _json_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
