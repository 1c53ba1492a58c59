"""The development signing key: a private JWK, and the JWKS that the service reads."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .files import write_private

if TYPE_CHECKING:
    from server.authn.signing import SigningKey

ALGORITHM = "EdDSA"
ISSUER = "https://issuer.plexsphere.test"
AUDIENCE = "plexsphere-state"
# Long enough for a working day and the night after it.
TTL_SECONDS = 24 * 3600


class NotASigningKey(Exception):
    """The file is no private JWK; the message names the command that makes one."""


def ensure_keys(signing_key: Path, jwks: Path) -> None:
    """Makes both files unless they exist. Only the owner can read the private file."""
    if signing_key.exists() and jwks.exists():
        return
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from jwt.algorithms import OKPAlgorithm

    private = OKPAlgorithm.to_jwk(Ed25519PrivateKey.generate(), as_dict=True)
    private |= {"kid": f"dev-{os.urandom(4).hex()}", "alg": ALGORITHM, "use": "sig"}
    public = {name: value for name, value in private.items() if name not in ("d", "key_ops")}
    write_private(signing_key, json.dumps(private, indent=1))
    write_private(jwks, json.dumps({"keys": [public]}, indent=1), mode=0o644)


def ensure_event_kek(file: Path) -> None:
    """Makes the file unless it exists. Only its owner can read it."""
    if not file.exists():
        from server.events.keys import new_kek

        write_private(file, new_kek())


def mint(
    signing_key: str | Path,
    subject: str,
    ttl: float = TTL_SECONDS,
    issuer: str = ISSUER,
    audience: str = AUDIENCE,
    **claims: Any,
) -> str:
    """A token for `subject` (`node:<uuid>`, `user:<id>`, `service:<id>`), valid for `ttl` seconds.

    Further keyword arguments become claims, or replace the usual ones. Raises NotASigningKey.
    """
    import jwt

    key = _signer(signing_key)
    now = int(time.time())
    usual = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "iat": now,
        "exp": now + int(ttl),
    }
    return jwt.encode(
        usual | claims,
        key.private,
        algorithm=key.public.algorithm,
        headers={"kid": key.public.kid},
    )


def _signer(setting: str | Path) -> "SigningKey":
    """The key with which the service signs under the same setting."""
    from server.authn.key_documents import DocumentError
    from server.authn.signing import parse_signing_keys, signing_document

    try:
        return parse_signing_keys(signing_document(str(setting)).read() or b"").members[0]
    except (OSError, ValueError, DocumentError) as error:
        # The setting is not quoted: what names no file may be a key.
        sentence = "PLEXSPHERE_SIGNING_KEY is no private JWK and no file with one"
        raise NotASigningKey(f"{sentence}; make run writes one") from error
