"""Base64url and JSON, read more strictly than PyJWT reads them.

A text that two parsers could read differently is refused before a signature is checked. Every
failure is a ValueError that quotes nothing of the input.
"""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, NoReturn

# The JSON of a token is flat but for `aud` and a few profile claims.
_MAX_DEPTH = 8


def base64url(part: str) -> bytes:
    """The bytes of ``part``: no padding, no foreign character, no unused bits at the end."""
    try:
        decoded = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise ValueError("not base64url") from None
    # Python's decoder skips foreign characters and ignores unused bits; encoding again finds both.
    if urlsafe_b64encode(decoded).rstrip(b"=") != part.encode("ascii", "replace"):
        raise ValueError("not canonical base64url")
    return decoded


def json_object(raw: bytes, max_depth: int = _MAX_DEPTH) -> dict[str, Any]:
    """The JSON object in ``raw``: no duplicate key at any level, no NaN, no lone surrogate."""
    value = json_value(raw, max_depth)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def json_value(raw: bytes, max_depth: int = _MAX_DEPTH) -> Any:
    """The JSON value in ``raw``, with the rules of ``json_object``."""
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    _check(value, max_depth)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError("not a JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number beyond all floats")
    return value


def _check(value: Any, depth: int) -> None:
    """Text must be encodable: an escaped lone surrogate is a str that UTF-8 cannot carry."""
    if depth == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, str):
        if not value.isascii():
            value.encode("utf-8")
    elif isinstance(value, dict):
        for key, member in value.items():
            _check(key, depth)
            _check(member, depth - 1)
    elif isinstance(value, list):
        for member in value:
            _check(member, depth - 1)
