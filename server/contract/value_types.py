"""The types of the file, and the values that are of them."""

from __future__ import annotations

from collections.abc import Mapping

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def is_of_type(value: object, name: str) -> bool:
    """Whether a value is of a type of the file. To Python, true is a number as well."""
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
