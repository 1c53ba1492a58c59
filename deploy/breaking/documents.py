"""One version of the contract, with pointers and lines to show where something stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from server.contract.pointers import format_pointer, parse_pointer
from server.contract.yaml_file import YamlFault, find, find_key, read_yaml


class Unreadable(Exception):
    """A version that cannot be compared; the message is one sentence for its author."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value and the JSON pointer it stands at, as a URI fragment."""

    value: Any
    pointer: str

    def child(self, key: str | int) -> Place | None:
        """The value under a key or an index, or None."""
        inside = f"{self.pointer}{format_pointer([key])}"
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            return Place(self.value[key], inside)
        if isinstance(self.value, dict) and key in self.value:
            return Place(self.value[key], inside)
        return None


class Document:
    """A parsed contract; messages have its ``name``, and lines where it has a ``root_node``."""

    def __init__(self, value: Any, name: str, root_node: yaml.Node | None = None) -> None:
        self.name = name
        self._root_node = root_node
        self.root = Place(value, "#")
        if not isinstance(value, dict) or not isinstance(value.get("paths"), dict):
            raise Unreadable(f"{name} is not an OpenAPI document: it has no paths.")

    @classmethod
    def parse(cls, raw: bytes, name: str) -> Document:
        """Read YAML. Raises Unreadable with the line and the column of what is wrong."""
        try:
            root_node, value = read_yaml(raw)
        except YamlFault as fault:
            place = f"{name}:{fault.line + 1}:{fault.column + 1}"
            raise Unreadable(f"{place} cannot be read: {fault}.") from fault
        return cls(value, name, root_node)

    def follow(self, place: Place) -> Place:
        """The end of a chain of references. Raises Unreadable where there is none."""
        seen: set[str] = set()
        while isinstance(place.value, dict) and isinstance(place.value.get("$ref"), str):
            target = place.value["$ref"]
            if target in seen:
                raise Unreadable(f"{self.name}: {target} refers only to itself.")
            seen.add(target)
            place = self._target(target, place.pointer)
        return place

    def mapping(self, place: Place | None) -> dict[str, Place]:
        """The members of an object by key, references not followed; none of None."""
        if place is None:
            return {}
        place = self.follow(place)
        if not isinstance(place.value, dict):
            raise Unreadable(f"{self.name}: {place.pointer} is not a mapping.")
        return {str(key): child for key in place.value if (child := place.child(key))}

    def listing(self, place: Place | None) -> list[Place]:
        """The items of an array; none of None."""
        if place is None:
            return []
        if not isinstance(place.value, list):
            raise Unreadable(f"{self.name}: {place.pointer} is not a list.")
        return [child for index in range(len(place.value)) if (child := place.child(index))]

    def line_of(self, pointer: str) -> int | None:
        """The line of the innermost part of a pointer that this document has."""
        if self._root_node is None:
            return None
        path = parse_pointer(pointer)
        _, depth = find(self._root_node, path)
        if depth == 0:
            return None
        return find_key(self._root_node, path[:depth]).start_mark.line + 1

    def _target(self, reference: str, used_at: str) -> Place:
        place: Place | None = self.root if reference.startswith("#/") else None
        for key in parse_pointer(reference) if place is not None else ():
            place = place and (place.child(key) or _indexed(place, key))
        if place is None:
            raise Unreadable(
                f"{self.name}: {used_at} refers to {reference}, which is not in the file."
            )
        return place


def _indexed(place: Place, key: str) -> Place | None:
    return place.child(int(key)) if key.isdigit() else None
