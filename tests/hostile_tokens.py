"""Tokens as an attacker makes them, beside the good ones they imitate."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from composer.identity import Principal, PrincipalKind
from tests.tokens import (
    NODE_ID,
    SigningKey,
    b64,
    claims,
    dumps,
    ed25519_key,
    es256_key,
    header,
    raw_token,
    rs256_key,
    token,
)

NOW = 1_700_000_000.0
ED, ES, RS = ed25519_key(), es256_key(), rs256_key()
STRANGER = ed25519_key("ed")  # the same kid, another key
NODE = Principal(PrincipalKind.NODE, NODE_ID)
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def good(key: SigningKey = ED, **changes: Any) -> str:
    return token(key, now=NOW, **changes)


def with_header(**changes: object) -> str:
    """Rightly signed over a header that should not be."""
    return token(ED, now=NOW, headers=changes)


def with_claims_bytes(raw: bytes) -> str:
    return raw_token(ED, dumps(header(ED)), raw)


def with_header_bytes(raw: bytes) -> str:
    return raw_token(ED, raw, dumps(claims(now=NOW)))


def signed_by_hmac(secret: bytes, kid: str, **changes: object) -> str:
    """HS256 with a public key as its secret: the classic confusion of algorithms."""
    head = dumps({"alg": "HS256", "typ": "JWT", "kid": kid, **changes})
    signing_input = f"{b64(head)}.{b64(dumps(claims(now=NOW)))}"
    signature = hmac.new(secret, signing_input.encode(), hashlib.sha256).digest()
    return f"{signing_input}.{b64(signature)}"


def pem(key: SigningKey) -> bytes:
    return key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def unsigned(alg: object) -> str:
    head = dumps({"alg": alg, "typ": "JWT", "kid": ED.kid})
    return f"{b64(head)}.{b64(dumps(claims(now=NOW)))}."


def spoilt(part: int, change: Callable[[str], str]) -> str:
    """A good token of which one part is written differently."""
    parts = good().split(".")
    parts[part] = change(parts[part])
    return ".".join(parts)


def other_last_bits(part: str) -> str:
    """The same bytes, spelled with non-zero left-over bits (64 bytes leave four of them)."""
    last = BASE64URL.index(part[-1])
    return part[:-1] + BASE64URL[last ^ 1]


def signature_of_other_claims() -> str:
    mine, theirs = good().split("."), good(sub="user:root").split(".")
    return ".".join([theirs[0], theirs[1], mine[2]])


def in_der() -> str:
    """An ES256 signature in the form OpenSSL writes, which JOSE does not."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    signing_input = good(ES).rpartition(".")[0]
    return f"{signing_input}.{b64(ES.private.sign(signing_input.encode(), ECDSA(hashes.SHA256())))}"


def duplicate(name: str, first: object, second: object) -> bytes:
    """Claims in which ``name`` occurs twice: two parsers, two readings."""
    body = dumps(claims(now=NOW, **{name: ...})).decode()
    return f'{body[:-1]},"{name}":{json.dumps(first)},"{name}":{json.dumps(second)}}}'.encode()
