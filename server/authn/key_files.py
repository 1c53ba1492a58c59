"""Files with private JWKs, as people make and rotate them; the service itself only reads."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from server.authn.documents import DocumentError, FileDocument
from server.authn.signing import parse_signing_keys, public_numbers, thumbprint

_RSA_BITS = 3072  # as strong as the other two


def new_key(algorithm: str) -> dict[str, Any]:
    """A private JWK for EdDSA, ES256 or RS256, called by its thumbprint."""
    make = {
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "RS256": lambda: rsa.generate_private_key(65537, _RSA_BITS),
    }
    private = make[algorithm]()
    jwk = get_default_algorithms()[algorithm].to_jwk(private, as_dict=True)
    labels = {"kid": thumbprint(public_numbers(private, algorithm)), "use": "sig"}
    return {**jwk, **labels, "alg": algorithm, "key_ops": ["sign"]}


def read_key_file(file: Path) -> list[dict[str, Any]]:
    """The JWKs of a file that the service would accept, each with its kid.

    Raises ValueError for any other, and OSError.
    """
    try:
        raw = FileDocument(file).read() or b""
    except DocumentError as error:
        raise ValueError(str(error)) from None
    parsed = parse_signing_keys(raw)
    document = json.loads(raw)
    jwks = document.get("keys", [document])
    return [{**jwk, "kid": key.public.kid} for jwk, key in zip(jwks, parsed.members, strict=True)]


def write_key_file(file: Path, keys: list[dict[str, Any]], like: os.stat_result | None) -> None:
    """Replace the file at once: a JWK where there is one key, else a JWK Set.

    For its owner alone, or as ``like`` says: who may read a key that is in use may go on.
    """
    value: object = keys[0] if len(keys) == 1 else {"keys": keys}
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as opened:
            if like is not None:
                os.fchown(descriptor, like.st_uid, like.st_gid)
                os.fchmod(descriptor, like.st_mode & 0o777)
            opened.write(json.dumps(value, indent=1))
            opened.flush()
            os.fsync(descriptor)
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
