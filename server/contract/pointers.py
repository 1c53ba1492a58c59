"""JSON pointers (RFC 6901), as ``$ref`` and ``operationRef`` spell them in a URI fragment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

Path = tuple[str | int, ...]

# References to references; more of them are a ring.
LONGEST_CHAIN = 16


def parse_pointer(reference: str) -> tuple[str, ...]:
    """The keys of ``#/a/b~1c``: ``a`` and ``b/c``. Raises ValueError for other references."""
    if reference != "#" and not reference.startswith("#/"):
        raise ValueError(f"{reference} leads out of this file")
    keys = reference.split("/")[1:]
    return tuple(unquote(key).replace("~1", "/").replace("~0", "~") for key in keys)


def format_pointer(path: Iterable[str | int]) -> str:
    """``/a/b~1c`` for the keys ``a`` and ``b/c``."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in path)


def schema_reference(target: str) -> str:
    """The reference of a discriminator's target, which may be the name of a schema."""
    return target if "/" in target else f"#/components/schemas/{target}"


def resolve_pointer(document: Any, reference: str) -> Any:
    """The part of a document that a reference names. Raises LookupError, ValueError."""
    return part_at(document, parse_pointer(reference))


def part_at(document: Any, path: Path) -> Any:
    """The part at a path; no reference on it is followed. Raises LookupError."""
    found = document
    for key in path:
        if isinstance(found, list) and str(key).isdecimal():
            found = found[int(key)]
        elif isinstance(found, dict):
            found = found[key]
        else:
            raise LookupError(format_pointer(path))
    return found


def canonical_path(document: Any, path: Path) -> Path:
    """The place where a part is written: references on the path, and at its end, are followed."""
    found, place = _end_of_chain(document, document, ())
    for key in path:
        found, place = _end_of_chain(document, found[key], (*place, key))
    return place


def deepest_path(document: Any, path: Path) -> Path:
    """The ``canonical_path`` of the innermost part on the path that the document has."""
    found, place = _end_of_chain(document, document, ())
    for key in path:
        if isinstance(found, list) and str(key).isdecimal() and int(key) < len(found):
            key = int(key)
        elif not isinstance(found, dict) or key not in found:
            break
        found, place = _end_of_chain(document, found[key], (*place, key))
    return place


def _end_of_chain(document: Any, found: Any, place: Path) -> tuple[Any, Path]:
    for _ in range(LONGEST_CHAIN):
        if not isinstance(found, dict) or "$ref" not in found:
            break
        place = parse_pointer(found["$ref"])
        found = resolve_pointer(document, found["$ref"])
    return found, place
