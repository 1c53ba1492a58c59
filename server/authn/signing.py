"""The service's own keys: private JWKs, the first of which signs and all of which are trusted.

A file or text that holds anything else than keys that may sign is refused as a whole: a service
that quietly went on with fewer keys would refuse tokens it has given out.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from jwt import PyJWK
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from server.authn.keys import KeySet, VerificationKey, algorithm_of, parse_key
from server.authn.strict import json_object

# What a thumbprint is made of (RFC 7638, RFC 8037), and what of a key is public.
_NUMBERS = {"OKP": ("crv", "x"), "EC": ("crv", "x", "y"), "RSA": ("n", "e")}


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key with its public half, the latter also as a member of a JWKS."""

    public: VerificationKey
    public_jwk: Mapping[str, str]
    private: Any = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class SigningKeys:
    """At least one key; ``members[0]`` signs."""

    members: tuple[SigningKey, ...]
    trusted: KeySet


def parse_signing_keys(raw: bytes) -> SigningKeys:
    """A private JWK, or a JWK Set of them; the ValueError quotes nothing of what was read."""
    document = json_object(raw)
    jwks = document.get("keys", [document])
    if not isinstance(jwks, list) or not jwks:
        raise ValueError("neither a JWK nor a set of them")
    found: dict[str, SigningKey] = {}
    for index, jwk in enumerate(jwks):
        try:
            key = _parse(jwk)
        except ValueError as error:
            raise ValueError(f"key {index} cannot sign: {error}") from None
        if key.public.kid in found:
            raise ValueError(f"key {index} has the kid of another")
        found[key.public.kid] = key
    members = tuple(found.values())
    return SigningKeys(members, KeySet({key.public.kid: key.public for key in members}))


def thumbprint(numbers: Mapping[str, str]) -> str:
    """The RFC 7638 name of a key: the base64url SHA-256 of its required members."""
    text = json.dumps(dict(sorted(numbers.items())), separators=(",", ":"))
    return urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()


def public_numbers(private: Any, algorithm: str) -> dict[str, str]:
    """``kty`` and the public members of a private key, computed from its private part."""
    jwk = get_default_algorithms()[algorithm].to_jwk(private.public_key(), as_dict=True)
    return {name: jwk[name] for name in ("kty", *_NUMBERS[jwk["kty"]])}


def _parse(jwk: object) -> SigningKey:
    if not isinstance(jwk, dict):
        raise ValueError("not an object")
    if jwk.get("kty") == "oct" or "k" in jwk:
        raise ValueError("it is symmetric, so that whoever can check a token could also make one")
    algorithm = algorithm_of(jwk.get("kty"), jwk.get("crv"))
    if algorithm is None:
        raise ValueError("neither Ed25519, P-256 nor RSA")
    if "d" not in jwk:
        raise ValueError("it has no private part")
    operations = jwk.get("key_ops", ["sign"])
    if not isinstance(operations, list) or "sign" not in operations:
        raise ValueError("its key_ops do not allow to sign")
    private = _private_key(jwk, algorithm)
    numbers = public_numbers(private, algorithm)
    declared = {"kid": thumbprint(numbers), "use": "sig", "alg": algorithm}
    declared |= {name: jwk[name] for name in declared if name in jwk}
    public = parse_key({**numbers, **declared})
    labels = {"kid": public.kid, "use": "sig", "alg": algorithm}
    kty = {"kty": numbers.pop("kty")}
    return SigningKey(public, {**kty, **labels, **numbers}, private)


def _private_key(jwk: dict[str, Any], algorithm: str) -> Any:
    try:
        return PyJWK(jwk, algorithm).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        raise ValueError("its numbers make no key") from None
