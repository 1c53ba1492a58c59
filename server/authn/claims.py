"""What a verified payload must say before it names a Principal."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from composer.identity import Principal, PrincipalKind, parse_canonical_uuid
from server.authn.refusal import Refusal, Refused

# A subset of SpiceDB's object ids (which allow 1,024 characters): what is no id there is no
# Principal here, so SpiceDB is never asked about a name it cannot hold.
_ID = re.compile(r"[A-Za-z0-9/_|\-=+]{1,128}", re.ASCII)

# Integers beyond this are no moments, and would not survive arithmetic with floats.
_MAX_MOMENT = 2**53


@dataclass(frozen=True, slots=True)
class Window:
    """When a token holds, in Unix seconds, leeway not applied: ``not_before`` <= now < ``until``.

    ``not_before`` is the later of ``nbf`` and ``iat``, minus infinity when both are absent.
    """

    not_before: float
    until: float

    def check(self, now: float, leeway_s: float) -> None:
        """Refuse outside the window, widened by ``leeway_s`` on both sides."""
        if now >= self.until + leeway_s:
            raise Refused(Refusal.EXPIRED)
        if now < self.not_before - leeway_s:
            raise Refused(Refusal.NOT_YET_VALID)


def read_window(claims: dict[str, Any]) -> Window:
    """The validity of a token; ``exp`` is required, ``nbf`` and ``iat`` are honoured."""
    until = _moment(claims, "exp")
    if until is None:
        raise Refused(Refusal.MALFORMED_CLAIMS)
    starts = [start for name in ("nbf", "iat") if (start := _moment(claims, name)) is not None]
    return Window(max(starts, default=-math.inf), until)


def check_origin(claims: dict[str, Any], issuer: str, audience: str) -> None:
    """``iss`` equals, ``aud`` equals or is a list of texts that holds it."""
    if claims.get("iss") != issuer:
        raise Refused(Refusal.ISSUER)
    aud = claims.get("aud")
    listed = aud if isinstance(aud, list) else [aud]
    if audience not in listed or not all(isinstance(member, str) for member in listed):
        raise Refused(Refusal.AUDIENCE)


def read_principal(claims: dict[str, Any]) -> Principal:
    """``sub`` is ``node:<uuid>``, ``service:<id>`` or ``user:<id>``, and nothing around it."""
    sub = claims.get("sub")
    if not isinstance(sub, str):
        raise Refused(Refusal.SUBJECT)
    kind, _, name = sub.partition(":")
    if kind == PrincipalKind.NODE:
        if parse_canonical_uuid(name) is not None:
            return Principal(PrincipalKind.NODE, name)
    elif kind in (PrincipalKind.SERVICE, PrincipalKind.USER) and _ID.fullmatch(name):
        return Principal(PrincipalKind(kind), name)
    raise Refused(Refusal.SUBJECT)


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """A JSON number that can be a moment; None when the claim is absent (null is not absent)."""
    if name not in claims:
        return None
    value = claims[name]
    # bool is an int to Python; PyJWT also takes a number written as text.
    if type(value) not in (int, float) or not -_MAX_MOMENT <= value <= _MAX_MOMENT:
        raise Refused(Refusal.MALFORMED_CLAIMS)
    return float(value)
