"""Gate 1 for node secret keys: ``nsk_<env>_<base64url of the Node's UUID and its secret>``."""

from __future__ import annotations

import re
import secrets
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from cachetools import TTLCache

from composer.credentials import SECRET_KEY_BYTES, NodeCredentials, SecretKey
from composer.deadline import Deadline
from composer.errors import DatastoreUnavailable
from composer.identity import NIL, Credential, Principal, PrincipalKind, is_among
from server.authn.tokens import (
    OnRefused,
    TokenRefused,
    TokenVerifier,
    bearer_token,
    ignore_reason,
)

# 48 bytes are exactly 64 characters of base64url, so that no other spelling is the same key.
_SECRET_KEY = re.compile(r"nsk_[a-z0-9]{1,32}_([A-Za-z0-9_-]{64})", re.ASCII)
PREFIX = "nsk_"
MALFORMED, UNKNOWN = "malformed_secret_key", "unknown_secret_key"
LIMITED = "limited_secret_key"
# A verified key is looked up again after this time; until then gate 3's row decides each time.
REMEMBERED_S = 300
REMEMBERED_KEYS = 65_536


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A well-formed key that was not verified yet."""

    node_id: UUID
    digest: bytes


# The digests of a Node's secret keys when it was last answered; empty where that is not kept.
KeptDigests = Callable[[UUID], tuple[bytes, ...]]


class FailureLimit(Protocol):
    """A limit on the look-ups of secret keys that fail, by the source of the current request."""

    def may_look_up(self) -> bool:
        """Whether the source may have another key looked up."""
        ...

    def look_up_failed(self) -> None:
        """The source has sent a key that is not valid."""
        ...


class SecretKeyVerifier:
    """Turns a node secret key into the Principal of its Node. Thread-safe.

    ``on_refused`` gets a word for a metric. A caller is not told why it was refused.
    """

    def __init__(
        self,
        credentials: NodeCredentials,
        clock: Callable[[], float],
        failures: FailureLimit,
        kept_digests: KeptDigests,
        on_refused: OnRefused = ignore_reason,
    ) -> None:
        """``clock`` is monotonic seconds."""
        self._credentials = credentials
        self._failures = failures
        self._kept_digests = kept_digests
        self._on_refused = on_refused
        self._verified: TTLCache[PresentedKey, Principal] = TTLCache(
            REMEMBERED_KEYS, REMEMBERED_S, timer=clock
        )
        self._lock = threading.Lock()

    def principal(self, text: str, deadline: Deadline) -> Principal | None:
        """The Principal of a key. Raises DatastoreUnavailable where a key must be looked up."""
        presented = parse_secret_key(text)
        if presented is None:
            self._on_refused(MALFORMED)
            return None
        with self._lock:
            principal = self._verified.get(presented)
        if principal is not None:
            return principal
        if not self._failures.may_look_up():
            self._on_refused(LIMITED)
            return None
        try:
            valid = self._credentials.secret_key_digests(presented.node_id, deadline)
        except DatastoreUnavailable:
            # Not remembered: the key counts only as long as the Node's last answer is kept.
            if not is_among(presented.digest, self._kept_digests(presented.node_id)):
                raise
            return _principal(presented)
        if not is_among(presented.digest, valid):
            self._on_refused(UNKNOWN)
            self._failures.look_up_failed()
            return None
        principal = _principal(presented)
        with self._lock:
            self._verified[presented] = principal
        return principal


def _principal(presented: PresentedKey) -> Principal:
    credential = Credential(secret_key_digest=presented.digest)
    return Principal(PrincipalKind.NODE, str(presented.node_id), credential)


def parse_secret_key(text: str) -> PresentedKey | None:
    """The key that ``text`` spells; None for any other text."""
    match = _SECRET_KEY.fullmatch(text)
    if match is None:
        return None
    raw = urlsafe_b64decode(match[1])
    node_id = UUID(bytes=raw[:16])
    return None if node_id == NIL else PresentedKey(node_id, sha256(raw[16:]).digest())


def secret_key_text(node_id: UUID, secret: bytes, env: str) -> str:
    """The key as its agent presents it."""
    return f"{PREFIX}{env}_{urlsafe_b64encode(node_id.bytes + secret).decode()}"


class Authenticator:
    """Gate 1: the Principal of the ``Authorization`` headers, by a JWT or a node secret key."""

    def __init__(
        self, tokens: TokenVerifier, secret_keys: SecretKeyVerifier, max_bytes: int
    ) -> None:
        self._tokens = tokens
        self._secret_keys = secret_keys
        self._max_bytes = max_bytes

    def principal(self, headers: list[str], deadline: Deadline) -> Principal | None:
        """The Principal; None where the credential proves nothing. Raises DatastoreUnavailable."""
        if len(headers) == 1 and PREFIX in headers[0]:
            try:
                text = bearer_token(headers, self._max_bytes)
            except TokenRefused:
                return None
            if text.startswith(PREFIX):
                return self._secret_keys.principal(text, deadline)
        return self._tokens.principal(headers)


class RandomSecretKeys:
    """Implements composer.credentials.SecretKeySource."""

    def new(self) -> SecretKey:
        """See composer.credentials.SecretKeySource."""
        return SecretKey(secrets.token_bytes(SECRET_KEY_BYTES))
