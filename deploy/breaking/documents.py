"""One version of the contract, with pointers and lines to show where something stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unreadable(Exception):
    """A version that cannot be compared; the message is one sentence for its author."""


@dataclass(frozen=True, slots=True)
class Place:
    """A value and the JSON pointer it stands at, as a URI fragment."""

    value: Any
    pointer: str

    def child(self, key: str | int) -> Place | None:
        """What stands under a key or an index; None where nothing does."""
        inside = f"{self.pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            return Place(self.value[key], inside)
        if isinstance(self.value, dict) and key in self.value:
            return Place(self.value[key], inside)
        return None


class Document:
    """A parsed contract; ``name`` stands in messages, ``raw`` is there when lines are wanted."""

    def __init__(self, value: Any, name: str, raw: bytes = b"") -> None:
        self.name = name
        self._raw = raw
        self.root = Place(value, "#")
        if not isinstance(value, dict) or not isinstance(value.get("paths"), dict):
            raise Unreadable(f"{name} is not an OpenAPI document: it has no paths.")

    @classmethod
    def parse(cls, raw: bytes, name: str) -> Document:
        """Read YAML. Raises Unreadable with the line and the column of what is wrong."""
        try:
            return cls(yaml.load(raw, Loader=_LOADER), name, raw)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            at = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            raise Unreadable(
                f"{name}{at} is not YAML: {error.problem or error.context}."
            ) from error
        except (
            yaml.YAMLError,
            ValueError,
            RecursionError,
        ) as error:  # bad bytes, a date like 2026-13-45
            raise Unreadable(f"{name} is not YAML: {' '.join(str(error).split())}.") from error

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
        """The members of an object by key, references unfollowed; of nothing, none."""
        if place is None:
            return {}
        place = self.follow(place)
        if not isinstance(place.value, dict):
            raise Unreadable(f"{self.name}: {place.pointer} is not a mapping.")
        # An unquoted 200 is an integer in YAML and a status all the same.
        return {str(key): found for key in place.value if (found := place.child(key))}

    def listing(self, place: Place | None) -> list[Place]:
        """The items of an array; of nothing, none."""
        if place is None:
            return []
        if not isinstance(place.value, list):
            raise Unreadable(f"{self.name}: {place.pointer} is not a list.")
        return [found for index in range(len(place.value)) if (found := place.child(index))]

    def line_of(self, pointer: str) -> int | None:
        """The line of the innermost part of a pointer that this document has."""
        node, line = self._tree, None
        for token in _tokens(pointer):
            if isinstance(node, yaml.MappingNode):
                pairs = [pair for pair in node.value if pair[0].value == token]
                if not pairs:
                    break
                line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
            elif isinstance(node, yaml.SequenceNode) and token.isdigit():
                if int(token) >= len(node.value):
                    break
                node = node.value[int(token)]
                line = node.start_mark.line + 1
            else:
                break
        return line

    @cached_property
    def _tree(self) -> Any:
        return yaml.compose(self._raw, Loader=_LOADER) if self._raw else None

    def _target(self, reference: str, used_at: str) -> Place:
        place: Place | None = self.root if reference.startswith("#/") else None
        for token in _tokens(reference):
            place = place and (place.child(token) or _indexed(place, token))
        if place is None:
            raise Unreadable(
                f"{self.name}: {used_at} refers to {reference}, which is not in the file."
            )
        return place


def text_of(members: Mapping[str, Place], key: str) -> str | None:
    """A member that is a string; None where it is something else or nothing."""
    found = members.get(key)
    return found.value if found is not None and isinstance(found.value, str) else None


def _tokens(pointer: str) -> list[str]:
    return [one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:]]


def _indexed(place: Place, token: str) -> Place | None:
    return place.child(int(token)) if token.isdigit() else None
