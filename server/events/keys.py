"""Event keys under ``PLEXSPHERE_EVENT_KEK``, the key that encrypts their private halves.

An encrypted half is a nonce and the output of AES-256-GCM. Its associated data is the id of the
Domain and the public half, so that a half does not decrypt in the row of another Domain or key.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from composer.deadline import Deadline
from composer.errors import DomainNotFound, SigningUnavailable
from composer.event_keys import EventKeys, NewEventKey, StoredEventKey

KEK_BYTES = 32
MOST_DECRYPTED = 10_000  # keys of Domains in memory
NONCE_BYTES = 12  # what AES-GCM is specified for


def new_kek() -> str:
    """A value for PLEXSPHERE_EVENT_KEK."""
    return base64.b64encode(os.urandom(KEK_BYTES)).decode()


def parse_keks(text: str) -> tuple[bytes, ...]:
    """One KEK, or two with a comma between. Raises ValueError."""
    keks = tuple(_parse_kek(part) for part in text.split(","))
    if len(keks) > 2:
        raise ValueError("more than two")
    return keks


def _parse_kek(text: str) -> bytes:
    """The 32 bytes of canonical base64. Raises ValueError."""
    try:
        kek = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(kek) != KEK_BYTES or base64.b64encode(kek).decode() != text:
        raise ValueError("not 32 bytes in canonical base64")
    return kek


class EncryptedEventKeys:
    """Implements composer.event_keys.EventKeySource.

    The first KEK encrypts. What any of them has encrypted decrypts.
    """

    def __init__(self, *keks: bytes) -> None:
        self._ciphers = tuple(map(AESGCM, keks))

    def new(self, domain_id: UUID) -> NewEventKey:
        """See composer.event_keys.EventKeySource."""
        private_key = Ed25519PrivateKey.generate()
        public_key = private_key.public_key().public_bytes_raw()
        encrypted = self._encrypted(domain_id, public_key, private_key.private_bytes_raw())
        return NewEventKey(key_id(public_key), public_key, encrypted)

    def signer(self, domain_id: UUID, key: StoredEventKey) -> EventSigner:
        """The key, decrypted. Raises SigningUnavailable: encrypted under another
        PLEXSPHERE_EVENT_KEK, or for another Domain."""
        _, private_key = self._decrypted(domain_id, key)
        return EventSigner(key.id, Ed25519PrivateKey.from_private_bytes(private_key))

    def re_encrypted(self, domain_id: UUID, key: StoredEventKey) -> bytes | None:
        """The private half under the first KEK; None where it is so already.

        Raises SigningUnavailable.
        """
        number, private_key = self._decrypted(domain_id, key)
        return None if number == 0 else self._encrypted(domain_id, key.public_key, private_key)

    def _encrypted(self, domain_id: UUID, public_key: bytes, private_key: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._ciphers[0].encrypt(nonce, private_key, domain_id.bytes + public_key)
        return nonce + sealed

    def _decrypted(self, domain_id: UUID, key: StoredEventKey) -> tuple[int, bytes]:
        """The number of the KEK, and the private half."""
        encrypted = key.encrypted_private_key
        nonce, sealed = encrypted[:NONCE_BYTES], encrypted[NONCE_BYTES:]
        for number, cipher in enumerate(self._ciphers):
            with suppress(InvalidTag, ValueError):
                return number, cipher.decrypt(nonce, sealed, domain_id.bytes + key.public_key)
        raise SigningUnavailable(
            f"the event key {key.id} of domain_id={domain_id} does not decrypt"
        )


@dataclass(frozen=True, slots=True)
class EventSigner:
    """Implements server.events.envelope.Signer."""

    key_id: str
    private_key: Ed25519PrivateKey

    @property
    def public_key(self) -> bytes:
        """32 raw bytes."""
        return self.private_key.public_key().public_bytes_raw()

    def sign(self, data: bytes) -> bytes:
        """See server.events.envelope.Signer."""
        return self.private_key.sign(data)


class StoredEventKeys(EventKeys, Protocol):
    """EventKeys with their private halves (db/event_keys.py)."""

    def stored(
        self, domain_ids: Collection[UUID], deadline: Deadline
    ) -> dict[UUID, list[StoredEventKey]]: ...


@dataclass(frozen=True, slots=True)
class DomainSigners:
    """The keys of one Domain, in the order in which they sign.

    During a transition there are two, and ``transition_expires`` is its end; agents that know the
    previous key only accept the previous one.
    """

    keys: tuple[tuple[int, EventSigner], ...]
    transition_expires: datetime | None

    @property
    def current(self) -> EventSigner:
        """The key that signs now."""
        return self.keys[-1][1]

    @property
    def previous(self) -> EventSigner | None:
        """The key before it, as long as the ledger has it."""
        return self.keys[-2][1] if len(self.keys) > 1 else None

    def at(self, seq: int) -> EventSigner:
        """The key that signs the ledger's event ``seq``: the event of a rotation is signed by the
        key before it, and later ones by the new key."""
        signing = [signer for after, signer in self.keys if after < seq]
        return signing[-1] if signing else self.keys[0][1]


class EventSigners:
    """Signs for Domains. Decrypted keys are in memory as long as they are the ledger's."""

    def __init__(self, store: StoredEventKeys, source: EncryptedEventKeys) -> None:
        self._store = store
        self._source = source
        self._decrypted: dict[tuple[UUID, str], EventSigner] = {}

    def of_domain(self, domain_id: UUID, deadline: Deadline) -> DomainSigners:
        """The keys of a Domain, which gets one where it has none.

        Raises DomainNotFound, SigningUnavailable, DatastoreUnavailable.
        """
        keys = self._store.stored([domain_id], deadline).get(domain_id)
        if keys is None:
            self._store.current(domain_id, deadline)
            keys = self._store.stored([domain_id], deadline).get(domain_id)
        if keys is None:
            raise DomainNotFound(f"domain_id={domain_id}")
        return DomainSigners(
            tuple((key.signs_after, self._signer(domain_id, key)) for key in keys),
            keys[0].transition_expires if len(keys) > 1 else None,
        )

    def _signer(self, domain_id: UUID, key: StoredEventKey) -> EventSigner:
        found = self._decrypted.get((domain_id, key.id))
        if found is None:
            if len(self._decrypted) >= MOST_DECRYPTED:
                self._decrypted.clear()
            found = self._source.signer(domain_id, key)
            self._decrypted[domain_id, key.id] = found
        return found


def key_id(public_key: bytes) -> str:
    """The id of a key: the first 16 hexadecimal digits of the SHA-256 of its public half."""
    return sha256(public_key).hexdigest()[:16]
