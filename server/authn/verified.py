"""Tokens already verified: an agent pulls once a minute with the same one."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from composer.identity import Principal
from server.authn.claims import Window
from server.authn.keys import KeySet


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found when the signature was checked, and the key set it was checked against."""

    principal: Principal
    window: Window
    keys: KeySet


class VerifiedTokens:
    """The most recently used ``limit`` tokens, by SHA-256: the tokens themselves are not kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[bytes, Verified] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: bytes, keys: KeySet) -> Verified | None:
        """What was verified against exactly ``keys``; after a rotation every token is new."""
        with self._lock:
            entry = self._entries.get(digest)
            if entry is None:
                return None
            if entry.keys is not keys:
                del self._entries[digest]
                return None
            self._entries.move_to_end(digest)
            return entry

    def put(self, digest: bytes, entry: Verified) -> None:
        with self._lock:
            self._entries[digest] = entry
            self._entries.move_to_end(digest)
            while len(self._entries) > self._limit:
                self._entries.popitem(last=False)

    def forget(self, digest: bytes) -> None:
        """Called when the clock has left the entry's window."""
        with self._lock:
            self._entries.pop(digest, None)

    def __len__(self) -> int:
        return len(self._entries)
