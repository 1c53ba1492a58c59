"""Event keys under ``PLEXSPHERE_EVENT_KEK``, the key that encrypts their private halves.

An encrypted half is a nonce and the output of AES-256-GCM. Its associated data is the id of the
Domain and the public half, so that a half does not decrypt in the row of another Domain or key.
"""

from __future__ import annotations

import base64
import binascii
import os
from hashlib import sha256
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from composer.event_keys import NewEventKey

KEK_BYTES = 32
NONCE_BYTES = 12  # what AES-GCM is specified for


def new_kek() -> str:
    """A value for PLEXSPHERE_EVENT_KEK."""
    return base64.b64encode(os.urandom(KEK_BYTES)).decode()


def parse_kek(text: str) -> bytes:
    """The 32 bytes of canonical base64. Raises ValueError."""
    try:
        kek = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(kek) != KEK_BYTES or base64.b64encode(kek).decode() != text:
        raise ValueError("not 32 bytes in canonical base64")
    return kek


class EncryptedEventKeys:
    """Implements composer.event_keys.EventKeySource."""

    def __init__(self, kek: bytes) -> None:
        self._cipher = AESGCM(kek)

    def new(self, domain_id: UUID) -> NewEventKey:
        """See composer.event_keys.EventKeySource."""
        private_key = Ed25519PrivateKey.generate()
        public_key = private_key.public_key().public_bytes_raw()
        nonce = os.urandom(NONCE_BYTES)
        encrypted = self._cipher.encrypt(
            nonce, private_key.private_bytes_raw(), domain_id.bytes + public_key
        )
        return NewEventKey(key_id(public_key), public_key, nonce + encrypted)


def key_id(public_key: bytes) -> str:
    """The id of a key: the first 16 hexadecimal digits of the SHA-256 of its public half."""
    return sha256(public_key).hexdigest()[:16]
