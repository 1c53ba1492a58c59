"""A cache with a limit in bytes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")

# Bytes of an entry in addition to the size that its creator gives.
ENTRY_BYTES = 200


class Memory(Generic[V]):
    """Values used lately, at most ``limit`` bytes of them. Threads may share it without a lock.

    The key must name everything that a value depends on. None is no value. There are two
    generations: when the young one has half of the limit it becomes the old one, whose values are
    dropped unless they were used since.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._young: dict[Hashable, tuple[V, int, object]] = {}
        self._old: dict[Hashable, tuple[V, int, object]] = {}
        self._young_bytes = 0

    def get(self, key: Hashable) -> V | None:
        """The value of ``key``."""
        found = self._young.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                return None
            self._keep(key, found)
        return found[0]

    def put(self, key: Hashable, value: V, size: int, source: object = None) -> None:
        """Keep a value of ``size`` bytes, unless it alone takes half of the limit.

        ``source`` is kept with it, so that ``id(source)`` can be the key.
        """
        if size + ENTRY_BYTES <= self._half:
            self._keep(key, (value, size + ENTRY_BYTES, source))

    def _keep(self, key: Hashable, entry: tuple[V, int, object]) -> None:
        # Two threads at once may count one entry for two, or begin two generations: that loses
        # values, and never makes a wrong one.
        if self._young_bytes + entry[1] > self._half:
            self._old, self._young, self._young_bytes = self._young, {}, 0
        self._young[key] = entry
        self._young_bytes += entry[1]

    def __len__(self) -> int:
        return len(self._young.keys() | self._old.keys())
