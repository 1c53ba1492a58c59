"""Gate 1: the JWT of a request becomes a Principal, or the reason why there is none.

A token is read strictly before a key is involved, then verified, then its claims are checked.
"""

from __future__ import annotations

import contextlib
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from composer.errors import KeysUnavailable
from composer.identity import Credential, Principal, PrincipalKind, parse_canonical_uuid
from server.authn.keys import KeySet, KeySource
from server.authn.strict import base64url, json_object

ALGORITHMS = ("EdDSA", "ES256", "RS256")

# RFC 6750: one scheme, in any case as HTTP says, one or more spaces, one token. Two headers that a
# proxy joined with a comma do not match.
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9_.\-]+)", re.ASCII)
# The scheme and the spaces that a header may have beside the longest token.
_BEARER_MARGIN = 64
_KID = re.compile(r"[\x20-\x7e]{1,256}", re.ASCII)
_TYPES = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})
# A token that brings its own key, changes how it must be read, or wraps another token.
_FORBIDDEN = frozenset({"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty"})
# A subset of SpiceDB's object ids (which allow 1,024 characters): SpiceDB is never asked about a
# name that it cannot hold.
_ID = re.compile(r"[A-Za-z0-9/_|\-=+]{1,128}", re.ASCII)
# Larger integers are no moments, and would not survive arithmetic with floats.
_MAX_MOMENT = 2**53


class TokenFault(StrEnum):
    """The reason why a caller has no Principal: for log and metrics, never for the wire."""

    NO_HEADER = "no_header"
    SEVERAL_HEADERS = "several_headers"
    NOT_BEARER = "not_bearer"
    TOO_LONG = "too_long"
    MALFORMED_TOKEN = "malformed_token"
    MALFORMED_HEADER = "malformed_header"
    ALGORITHM = "algorithm"
    NO_KEYS = "no_keys"
    UNKNOWN_KEY = "unknown_key"
    KEY_MISMATCH = "key_mismatch"
    BAD_SIGNATURE = "bad_signature"
    MALFORMED_CLAIMS = "malformed_claims"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    SUBJECT = "subject"
    INTERNAL = "internal"


OnRefused = Callable[[str], None]


def ignore_reason(reason: str) -> None:
    """The callback of a verifier whose reasons are not recorded."""


class TokenRefused(Exception):
    """Ends a verification; never leaves this module."""

    def __init__(self, fault: TokenFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A well-formed token whose signature was not checked yet."""

    text: str
    algorithm: str
    kid: str
    claims: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Validity:
    """A token's validity, in Unix seconds without leeway: ``not_before`` <= now < ``until``.

    ``not_before`` is the later of ``nbf`` and ``iat``, minus infinity when both are absent.
    """

    not_before: float
    until: float

    def check(self, now: float, leeway_s: float) -> None:
        """Refuse outside the validity, widened by ``leeway_s`` on both sides."""
        if now >= self.until + leeway_s:
            raise TokenRefused(TokenFault.EXPIRED)
        if now < self.not_before - leeway_s:
            raise TokenRefused(TokenFault.NOT_YET_VALID)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """The result of a verification, and the key set it was made with."""

    principal: Principal
    validity: Validity
    keys: KeySet


class TokenVerifier:
    """Turns ``Authorization`` headers into a Principal, or into None for every other form.

    A caller is not told why it was refused: all hostile forms get the same bytes. ``on_refused``
    gets a word of ``TokenFault``. ``clock`` is Unix seconds. Thread-safe.
    """

    def __init__(
        self,
        keys: KeySource,
        issuer: str,
        audience: str,
        *,
        leeway_s: float,
        max_bytes: int,
        algorithms: Sequence[str] = ALGORITHMS,
        clock: Callable[[], float] = time.time,
        on_refused: OnRefused = ignore_reason,
        cache_size: int = 16_384,
    ) -> None:
        if not algorithms or not set(algorithms) <= set(ALGORITHMS):
            raise ValueError(f"algorithms must be some of {', '.join(ALGORITHMS)}")
        if not issuer or not audience:
            raise ValueError("issuer and audience must not be empty")
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._leeway_s = leeway_s
        self._max_bytes = max_bytes
        self._algorithms = frozenset(algorithms)
        self._jws = PyJWS(algorithms=list(algorithms))
        self._clock = clock
        self._on_refused = on_refused
        self._cache = _TokenCache(cache_size)

    def principal(self, authorization_headers: Sequence[str]) -> Principal | None:
        """The Principal of a request with these raw header values.

        Raises KeysUnavailable where the key of a well-formed token may be one that could not be
        had, and nothing else.
        """
        try:
            return self._principal(bearer_token(authorization_headers, self._max_bytes))
        except TokenRefused as refused:
            fault = refused.fault
        except KeysUnavailable:
            with contextlib.suppress(Exception):
                self._on_refused(TokenFault.NO_KEYS.value)
            raise
        except Exception:
            # Whatever a hostile token makes a library do, it must not become a 500 or a yes.
            fault = TokenFault.INTERNAL
        with contextlib.suppress(Exception):
            self._on_refused(fault.value)
        return None

    def _principal(self, text: str) -> Principal:
        digest = sha256(text.encode("ascii")).digest()
        keys = self._keys.current()
        cached = self._cache.get(digest, keys)
        token = cached or self._verify(parse_token(text, self._algorithms), keys)
        try:
            # Every time: between two uses of a token only the time changes.
            token.validity.check(self._clock(), self._leeway_s)
        except TokenRefused:
            self._cache.remove(digest)
            raise
        if cached is None:
            self._cache.put(digest, token)
        return token.principal

    def _verify(self, token: UnverifiedToken, keys: KeySet) -> VerifiedToken:
        if token.kid not in keys.by_kid:
            keys = self._keys.refreshed_for(token.kid)
        key = keys.by_kid.get(token.kid)
        if key is None and keys.is_partial:
            raise KeysUnavailable("a source of keys has none")
        if key is None:
            raise TokenRefused(TokenFault.UNKNOWN_KEY)
        # The key decides which algorithm it verifies; the token may only agree.
        if key.algorithm != token.algorithm:
            raise TokenRefused(TokenFault.KEY_MISMATCH)
        try:
            self._jws.decode_complete(token.text, key.jwk, algorithms=[key.algorithm])
        except PyJWTError:
            raise TokenRefused(TokenFault.BAD_SIGNATURE) from None
        check_origin(token.claims, self._issuer, self._audience)
        principal, validity = read_principal(token.claims), read_validity(token.claims)
        credential = Credential(
            issued_at=_utc(_moment(token.claims, "iat")),
            expires_at=_utc(validity.until + self._leeway_s),
        )
        return VerifiedToken(replace(principal, credential=credential), validity, keys)


def bearer_token(headers: Sequence[str], max_bytes: int) -> str:
    """The token of the only ``Authorization`` header."""
    if not headers:
        raise TokenRefused(TokenFault.NO_HEADER)
    if len(headers) > 1:
        raise TokenRefused(TokenFault.SEVERAL_HEADERS)
    if len(headers[0]) > max_bytes + _BEARER_MARGIN:
        raise TokenRefused(TokenFault.TOO_LONG)
    match = _BEARER.fullmatch(headers[0].strip(" \t"))
    if match is None:
        raise TokenRefused(TokenFault.NOT_BEARER)
    if len(match[1]) > max_bytes:
        raise TokenRefused(TokenFault.TOO_LONG)
    return match[1]


def parse_token(text: str, algorithms: Collection[str]) -> UnverifiedToken:
    """Header and claims of a compact JWS, read strictly; the signature is only well-formed."""
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenRefused(TokenFault.MALFORMED_TOKEN)
    try:
        header_bytes, claims_bytes, _ = (base64url(part) for part in parts)
    except ValueError:
        raise TokenRefused(TokenFault.MALFORMED_TOKEN) from None
    try:
        header = json_object(header_bytes)
    except ValueError:
        raise TokenRefused(TokenFault.MALFORMED_HEADER) from None
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenRefused(TokenFault.ALGORITHM)
    kid, typ = header.get("kid"), header.get("typ", "JWT")
    if not isinstance(kid, str) or not _KID.fullmatch(kid) or not _FORBIDDEN.isdisjoint(header):
        raise TokenRefused(TokenFault.MALFORMED_HEADER)
    if not isinstance(typ, str) or typ.lower() not in _TYPES:
        raise TokenRefused(TokenFault.MALFORMED_HEADER)
    try:
        claims = json_object(claims_bytes)
    except ValueError:
        raise TokenRefused(TokenFault.MALFORMED_CLAIMS) from None
    return UnverifiedToken(text=text, algorithm=algorithm, kid=kid, claims=claims)


def read_validity(claims: dict[str, Any]) -> Validity:
    """The validity of a token; ``exp`` is required, ``nbf`` and ``iat`` are honoured."""
    until = _moment(claims, "exp")
    if until is None:
        raise TokenRefused(TokenFault.MALFORMED_CLAIMS)
    starts = [start for name in ("nbf", "iat") if (start := _moment(claims, name)) is not None]
    return Validity(max(starts, default=-math.inf), until)


def check_origin(claims: dict[str, Any], issuer: str, audience: str) -> None:
    """``iss`` must be the issuer, ``aud`` the audience or a list of texts that contains it."""
    if claims.get("iss") != issuer:
        raise TokenRefused(TokenFault.ISSUER)
    claimed = claims.get("aud")
    audiences = claimed if isinstance(claimed, list) else [claimed]
    if audience not in audiences or not all(isinstance(text, str) for text in audiences):
        raise TokenRefused(TokenFault.AUDIENCE)


def read_principal(claims: dict[str, Any]) -> Principal:
    """The Principal that ``sub`` names."""
    principal = parse_subject(claims.get("sub"))
    if principal is None:
        raise TokenRefused(TokenFault.SUBJECT)
    return principal


def parse_subject(subject: object) -> Principal | None:
    """``node:<uuid>``, ``service:<id>`` or ``user:<id>`` as a Principal; None for other values."""
    if not isinstance(subject, str):
        return None
    kind, _, name = subject.partition(":")
    if kind == PrincipalKind.NODE:
        is_node = parse_canonical_uuid(name) is not None
        return Principal(PrincipalKind.NODE, name) if is_node else None
    if kind in (PrincipalKind.SERVICE, PrincipalKind.USER) and _ID.fullmatch(name):
        return Principal(PrincipalKind(kind), name)
    return None


def _utc(moment: float | None) -> datetime | None:
    """A moment in Unix seconds as a time; None for moments that no calendar has."""
    if moment is None:
        return None
    try:
        return datetime.fromtimestamp(moment, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """A JSON number that can be a moment; None when the claim is absent (null is not absent)."""
    if name not in claims:
        return None
    value = claims[name]
    # bool is an int to Python; PyJWT also takes a number written as text.
    if type(value) not in (int, float) or not -_MAX_MOMENT <= value <= _MAX_MOMENT:
        raise TokenRefused(TokenFault.MALFORMED_CLAIMS)
    return float(value)


class _TokenCache:
    """The most recently used verified tokens, by SHA-256: the tokens themselves are not kept.

    An agent pulls once a minute with the same token.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tokens: OrderedDict[bytes, VerifiedToken] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: bytes, keys: KeySet) -> VerifiedToken | None:
        """The token verified with exactly ``keys``; after a rotation every token is new."""
        with self._lock:
            token = self._tokens.get(digest)
            if token is None:
                return None
            if token.keys is not keys:
                del self._tokens[digest]
                return None
            self._tokens.move_to_end(digest)
            return token

    def put(self, digest: bytes, token: VerifiedToken) -> None:
        with self._lock:
            self._tokens[digest] = token
            self._tokens.move_to_end(digest)
            while len(self._tokens) > self._limit:
                self._tokens.popitem(last=False)

    def remove(self, digest: bytes) -> None:
        """Called when the time is outside the token's validity."""
        with self._lock:
            self._tokens.pop(digest, None)
