"""A compact JWS taken apart: everything that can be said of it before a key is involved."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from server.authn.refusal import Refusal, Refused
from server.authn.strict import base64url, json_object

# RFC 6750: one scheme, in any case as HTTP says, one or more spaces, one token. Two headers that a
# proxy joined with a comma do not match.
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9_.\-]+)", re.ASCII)
_KID = re.compile(r"[\x20-\x7e]{1,256}", re.ASCII)
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})

# A token that brings its own key, changes how it is to be read, or wraps another token.
_FORBIDDEN = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"})

# Scheme and spaces around the token that a header may carry on top of the token's own limit.
_AROUND = 64


@dataclass(frozen=True, slots=True)
class Compact:
    """A well-formed token, not yet believed."""

    text: str
    algorithm: str
    kid: str
    claims: dict[str, Any]


def bearer_token(headers: Sequence[str], max_bytes: int) -> str:
    """The one token of the one ``Authorization`` header."""
    if not headers:
        raise Refused(Refusal.NO_HEADER)
    if len(headers) > 1:
        raise Refused(Refusal.SEVERAL_HEADERS)
    if len(headers[0]) > max_bytes + _AROUND:
        raise Refused(Refusal.TOO_LONG)
    match = _BEARER.fullmatch(headers[0].strip(" \t"))
    if match is None:
        raise Refused(Refusal.NOT_BEARER)
    if len(match[1]) > max_bytes:
        raise Refused(Refusal.TOO_LONG)
    return match[1]


def take_apart(token: str, algorithms: Collection[str]) -> Compact:
    """Header and claims of ``token``, read strictly; the signature is only well-formed so far."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Refused(Refusal.MALFORMED_TOKEN)
    try:
        header_bytes, claims_bytes, _ = (base64url(part) for part in parts)
    except ValueError:
        raise Refused(Refusal.MALFORMED_TOKEN) from None
    try:
        header = json_object(header_bytes)
    except ValueError:
        raise Refused(Refusal.MALFORMED_HEADER) from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise Refused(Refusal.ALGORITHM)
    kid, typ = header.get("kid"), header.get("typ", "JWT")
    if not isinstance(kid, str) or not _KID.fullmatch(kid) or not _FORBIDDEN.isdisjoint(header):
        raise Refused(Refusal.MALFORMED_HEADER)
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise Refused(Refusal.MALFORMED_HEADER)
    try:
        claims = json_object(claims_bytes)
    except ValueError:
        raise Refused(Refusal.MALFORMED_CLAIMS) from None
    return Compact(token, algorithm, kid, claims)
