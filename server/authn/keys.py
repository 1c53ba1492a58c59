"""The keys that verify tokens: public, asymmetric, each for one algorithm only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from server.authn.strict import json_object

# The algorithm of a key's kty and crv; every other key (oct above all) verifies nothing here.
_ALGORITHM_OF = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
# RFC 9864 gave EdDSA over Ed25519 a name of its own; key sets may use either.
_SECOND_NAME = {"EdDSA": "Ed25519"}
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_KID = re.compile(r"[\x20-\x7e]{1,256}", re.ASCII)
_RSA_BITS = range(2048, 8193)  # a longer key would cost too much time for each token
_RSA_EXPONENTS = range(65537, 2**32)


@dataclass(frozen=True, slots=True, eq=False)
class VerificationKey:
    """One public key, bound to the one algorithm it may verify."""

    kid: str
    algorithm: str
    jwk: PyJWK


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The usable keys of a JWKS at one moment.

    Compared by identity: a source hands out the same object for as long as the set is the same.
    ``is_partial``: a source has no keys yet, so an unknown kid may be one of its keys.
    """

    by_kid: Mapping[str, VerificationKey]
    is_partial: bool = False


NO_KEYS = KeySet({}, is_partial=True)

OnWarning = Callable[[str], None]


def ignore_warning(warning: str) -> None:
    """The callback where warnings are not recorded."""


class KeySource(Protocol):
    """A source of keys. No method raises; faults are reported by callback."""

    def current(self) -> KeySet:
        """The newest usable set, ``NO_KEYS`` before the first. Waits only for the first."""
        ...

    def refreshed_for(self, kid: str) -> KeySet:
        """The set, refreshed if it lacks ``kid``: at most one such refresh an interval."""
        ...

    def describe(self) -> tuple[bool, str]:
        """Whether there is a usable set, and one line about it, for /readyz."""
        ...


def parse_key_set(raw: bytes, on_warning: OnWarning) -> KeySet:
    """The usable keys in a JWKS document; ValueError when it is no JWKS, or has no usable key.

    Keys that must not verify anything are left out, each with a warning. A ``kid`` that occurs
    twice names no key, because the service cannot tell which of the two was meant.
    """
    keys = json_object(raw).get("keys")
    if not isinstance(keys, list):
        raise ValueError("not a JWKS")
    parsed: list[VerificationKey] = []
    for index, jwk in enumerate(keys):
        try:
            parsed.append(parse_key(jwk))
        except ValueError as error:
            on_warning(f"key {index} of the key set is ignored: {error}")
    # Counted over all entries: an unusable key with the same kid is just as ambiguous.
    occurrences = Counter(kid for jwk in keys if (kid := _kid(jwk)) is not None)
    for kid in sorted(kid for kid, count in occurrences.items() if count > 1):
        on_warning(f"kid {kid!r} occurs more than once in the key set: no key with it is used")
    usable = {key.kid: key for key in parsed if occurrences[key.kid] == 1}
    if not usable:
        raise ValueError("no usable key")
    return KeySet(usable)


def _kid(jwk: object) -> str | None:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return kid if isinstance(kid, str) and _KID.fullmatch(kid) else None


def parse_key(jwk: object) -> VerificationKey:
    """One public JWK. Raises ValueError with the reason why it verifies nothing."""
    if not isinstance(jwk, dict):
        raise ValueError("not an object")
    kid = _kid(jwk)
    if kid is None:
        raise ValueError("no kid of printable ASCII")
    if not _PRIVATE.isdisjoint(jwk):
        raise ValueError("it holds a secret or private part, which must not be published")
    algorithm = algorithm_of(jwk.get("kty"), jwk.get("crv"))
    if algorithm is None:
        raise ValueError("neither Ed25519, P-256 nor RSA")
    if jwk.get("alg", algorithm) not in (algorithm, _SECOND_NAME.get(algorithm, algorithm)):
        raise ValueError("its alg does not fit its type")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("its use is not sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("its key_ops do not contain verify")
    return VerificationKey(kid, algorithm, _public_key(jwk, algorithm))


def algorithm_of(kty: object, crv: object) -> str | None:
    """The only algorithm of a key of this type; None for a type that verifies nothing here."""
    if isinstance(kty, str) and (crv is None or isinstance(crv, str)):
        return _ALGORITHM_OF.get((kty, crv))
    return None


def _public_key(jwk: dict[str, Any], algorithm: str) -> PyJWK:
    try:
        parsed = PyJWK(jwk, algorithm)
    except (PyJWTError, ValueError, TypeError, KeyError):
        raise ValueError("its numbers make no key") from None
    if isinstance(parsed.key, RSAPublicKey):
        if parsed.key.key_size not in _RSA_BITS:
            raise ValueError("RSA keys need 2048 to 8192 bits")
        if parsed.key.public_numbers().e not in _RSA_EXPONENTS:
            raise ValueError("its RSA exponent is too small or too large")
    return parsed
