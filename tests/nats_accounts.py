"""NATS in operator mode: an operator, its accounts, and users with files of credentials.

Written from the format of NATS' JWTs; the service's own reader of such files is not used.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SEED, OPERATOR, ACCOUNT, USER = 18 << 3, 14 << 3, 0, 20 << 3
UNLIMITED = (
    *("subs", "data", "payload", "imports", "exports", "conn", "leaf"),
    *("mem_storage", "disk_storage", "streams", "consumer"),
)
CREDENTIALS = """\
-----BEGIN NATS USER JWT-----
{jwt}
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


@dataclass
class NKey:
    """An Ed25519 key of a kind."""

    kind: int
    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> str:
        return _text(bytes([self.kind]) + self.private.public_key().public_bytes_raw())

    @property
    def seed(self) -> str:
        prefix = bytes([SEED | self.kind >> 5, (self.kind & 31) << 3])
        return _text(prefix + self.private.private_bytes_raw())

    def jwt(self, subject: NKey, kind: str, **facts: Any) -> str:
        """A JWT with the facts about the subject, signed by this key."""
        claims = {
            "jti": subject.public,
            "iat": int(time.time()),
            "iss": self.public,
            "name": kind,
            "sub": subject.public,
            "nats": {"type": kind, "version": 2, **facts},
        }
        parts = [_base64url(json.dumps(part).encode()) for part in (HEAD, claims)]
        signed = ".".join(parts)
        return f"{signed}.{_base64url(self.private.sign(signed.encode()))}"


HEAD = {"typ": "JWT", "alg": "ed25519-nkey"}


class Operator:
    """An operator with the account of the system, and one account with JetStream."""

    def __init__(self) -> None:
        self._key, self._system, self._account = NKey(OPERATOR), NKey(ACCOUNT), NKey(ACCOUNT)

    @property
    def configuration(self) -> str:
        """The part of a server's configuration."""
        limits = {**dict.fromkeys(UNLIMITED, -1), "wildcards": True}
        accounts = {
            self._system.public: self._key.jwt(self._system, "account"),
            self._account.public: self._key.jwt(self._account, "account", limits=limits),
        }
        preloaded = "\n".join(f"  {name}: {jwt}" for name, jwt in accounts.items())
        return (
            f"operator: {self._key.jwt(self._key, 'operator')}\n"
            f"system_account: {self._system.public}\n"
            f"resolver: MEMORY\nresolver_preload {{\n{preloaded}\n}}\n"
        )

    def credentials(self) -> str:
        """The file of a new user of the account."""
        user = NKey(USER)
        jwt = self._account.jwt(user, "user", pub={}, sub={}, subs=-1, data=-1, payload=-1)
        return CREDENTIALS.format(jwt=jwt, seed=user.seed)


def _text(raw: bytes) -> str:
    checksum = binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return base64.b32encode(raw + checksum).decode().rstrip("=")


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
