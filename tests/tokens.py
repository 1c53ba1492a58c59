"""Keys and tokens for tests: good ones by default, any part replaced by the caller.

``tests`` sign; the service only ever holds the public halves.
"""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

from composer.identity import Principal
from server.authn.keys import KeySet, KeySource, ignore_warning, parse_key_set
from server.authn.tokens import TokenVerifier
from tests.fakes import FakeClock

ISSUER = "https://issuer.test"
AUDIENCE = "plexsphere"
LEEWAY_S = 30.0
TOKEN_MAX_BYTES = 4_096
NODE_ID = "0190aaaa-0000-7000-8000-000000000001"


def b64(raw: bytes) -> str:
    """Base64url without padding, as JOSE writes it."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def dumps(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, eq=False)
class SigningKey:
    """A private key with the one algorithm it signs."""

    kid: str
    algorithm: str
    private: Any

    @property
    def jwk(self) -> dict[str, Any]:
        """The public half, as a member of a JWKS."""
        return {**self._members(self.private.public_key()), **self._labels()}

    @property
    def private_jwk(self) -> dict[str, Any]:
        return {**self._members(self.private), **self._labels()}

    def sign(self, signing_input: bytes) -> bytes:
        return get_default_algorithms()[self.algorithm].sign(signing_input, self.private)

    def _members(self, key: Any) -> dict[str, Any]:
        shape: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}
        members: dict[str, Any] = shape[self.algorithm].to_jwk(key, as_dict=True)
        members.pop("key_ops", None)
        return members

    def _labels(self) -> dict[str, str]:
        return {"kid": self.kid, "alg": self.algorithm, "use": "sig"}


def ed25519_key(kid: str = "ed") -> SigningKey:
    return SigningKey(kid, "EdDSA", ed25519.Ed25519PrivateKey.generate())


def es256_key(kid: str = "es") -> SigningKey:
    return SigningKey(kid, "ES256", ec.generate_private_key(ec.SECP256R1()))


@cache
def rs256_key(kid: str = "rs", bits: int = 2048) -> SigningKey:
    return SigningKey(kid, "RS256", rsa.generate_private_key(65537, bits))


def jwks(*keys: SigningKey) -> bytes:
    """A JWKS document with the public halves."""
    return dumps({"keys": [key.jwk for key in keys]})


def write_jwks(path: Path, *keys: SigningKey) -> Path:
    """The document as a file, replaced at once as a careful operator does."""
    beside = path.with_suffix(".new")
    beside.write_bytes(jwks(*keys))
    beside.replace(path)
    return path


def claims(
    sub: Any = f"node:{NODE_ID}", now: float | None = None, **changes: Any
) -> dict[str, Any]:
    """Good claims; a change of ``...`` removes that claim."""
    at = int(time.time() if now is None else now)
    good = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": sub, "iat": at, "nbf": at, "exp": at + 3600
    }  # fmt: skip
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def header(key: SigningKey, **changes: Any) -> dict[str, Any]:
    """A good header; a change of ``...`` removes that member."""
    good = {"alg": key.algorithm, "typ": "JWT", "kid": key.kid}
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def raw_token(key: SigningKey, header_bytes: bytes, claims_bytes: bytes) -> str:
    """A token over exactly these bytes, rightly signed."""
    signing_input = f"{b64(header_bytes)}.{b64(claims_bytes)}"
    return f"{signing_input}.{b64(key.sign(signing_input.encode()))}"


def token(
    key: SigningKey,
    sub: Any = f"node:{NODE_ID}",
    *,
    now: float | None = None,
    headers: dict[str, Any] | None = None,
    **changes: Any,
) -> str:
    """A good token for ``sub``, with ``changes`` to its claims and ``headers`` to its header."""
    return raw_token(key, dumps(header(key, **(headers or {}))), dumps(claims(sub, now, **changes)))


def token_of_length(key: SigningKey, wanted: int, now: float | None = None) -> str:
    """A rightly signed token of exactly so many bytes.

    Base64url text is never one more than a multiple of four long, so the header helps out.
    """
    for x5t in ("", "a", "aa"):
        size = (wanted - len(token(key, now=now, headers={"x5t": x5t}))) * 3 // 4
        for pad in range(size - 20, size + 1):
            text = token(key, now=now, headers={"x5t": x5t}, pad="x" * pad)
            if len(text) == wanted:
                return text
    raise AssertionError(f"no token of {wanted} bytes")


def bearer(text: str) -> dict[str, str]:
    """The request header that carries a token."""
    return {"Authorization": f"Bearer {text}"}


class FixedKeys:
    """A key source whose set changes when a test says so."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys: KeySet = parse_key_set(jwks(*keys), ignore_warning)
        self.searched: list[str] = []

    def rotate(self, *keys: SigningKey) -> None:
        self.keys = parse_key_set(jwks(*keys), ignore_warning)

    def current(self) -> KeySet:
        return self.keys

    def refreshed_for(self, kid: str) -> KeySet:
        self.searched.append(kid)
        return self.keys

    def describe(self) -> tuple[bool, str]:
        return True, ""


def verifier(keys: KeySource, **options: Any) -> TokenVerifier:
    """A verifier of the tests' issuer and audience."""
    limits = {"leeway_s": LEEWAY_S, "max_bytes": TOKEN_MAX_BYTES}
    return TokenVerifier(keys, ISSUER, AUDIENCE, **{**limits, **options})


class Door:
    """A verifier with the reasons it gave."""

    def __init__(self, *keys: SigningKey, now: float, cache_size: int = 100) -> None:
        self.clock = FakeClock(now)
        self.source = FixedKeys(*keys)
        self.reasons: list[str] = []
        self.verifier = verifier(
            self.source,
            clock=self.clock,
            on_refused=self.reasons.append,
            cache_size=cache_size,
        )

    def ask(self, *headers: str) -> Principal | None:
        return self.verifier.principal(headers)


class NoTokens:
    """Stands where a TokenVerifier does: no JWT proves anything."""

    def principal(self, authorization_headers: Sequence[str]) -> Principal | None:
        return None
