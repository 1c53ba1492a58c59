"""A JWKS that is kept current without a restart and without keeping anybody waiting."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from server.authn.documents import Document, DocumentError
from server.authn.keys import NO_KEYS, KeySet, OnWarning, parse_key_set

# The bytes of a document as a key set; ValueError when they are none.
Parse = Callable[[bytes, OnWarning], KeySet]

# How long a request waits for a refresh that runs elsewhere: the first load, or a new kid. Longer
# and a flood of unknown kids would hold every thread while the URL hangs.
_PATIENCE_S = 0.25
# The very first attempt may take a cold TLS handshake; nobody can be let in before it ends anyway.
_FIRST_PATIENCE_S = 2.0
# A source without any set tries again this often; with one, min_interval decides.
_FIRST_RETRY_S = 1.0
_REMIND_S = 60.0
# A refresh that runs longer hangs where no timeout of ours reaches (a name lookup): start another.
_GIVEN_UP_S = 30.0


class RefreshingKeys:
    """Loads ``document`` on first use, again every ``refresh_interval`` s, and for unknown kids.

    A failed refresh keeps the old set and is tried again after ``min_interval`` s. With
    ``in_background`` a refresh runs in a thread of its own and requests go on with what there is.
    ``clock`` is monotonic seconds; ``on_warning`` gets one line a fault or ignored key.
    """

    def __init__(
        self,
        document: Document,
        *,
        refresh_interval: float,
        min_interval: float,
        in_background: bool,
        clock: Callable[[], float],
        on_warning: OnWarning,
        parse: Parse = parse_key_set,
    ) -> None:
        self._document = document
        self._refresh_interval = refresh_interval
        self._min_interval = min_interval
        self._in_background = in_background
        self._clock = clock
        self._on_warning = on_warning
        self._parse = parse
        self._keys: KeySet = NO_KEYS
        self._loaded_at: float | None = None
        self._due_at: float | None = None  # None: never tried
        self._searched_at: float | None = None
        self._fault: str | None = None
        self._warned: tuple[str, ...] = ()
        self._warned_at = 0.0
        self._running: threading.Event | None = None
        self._started_at = 0.0
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def current(self) -> KeySet:
        """The newest usable set; starts a refresh when one is due."""
        if self._due_at is None or self._clock() >= self._due_at or self._keys is NO_KEYS:
            self._refresh(wait=self._keys is NO_KEYS)
        return self._keys

    def searched_for(self, kid: str) -> KeySet:
        """The set after a look for ``kid``; at most one a ``min_interval``."""
        if kid not in self._keys.by_kid:
            self._refresh(wait=True, for_unknown_kid=True)
        return self._keys

    def describe(self) -> tuple[bool, str]:
        """(is there a usable set, how many keys and how old, or what went wrong last)."""
        keys = self.current()
        if keys is NO_KEYS or self._loaded_at is None:
            return False, f"no keys: {self._fault or 'not loaded yet'}"
        age = int(self._clock() - self._loaded_at)
        fault = f"; last refresh failed: {self._fault}" if self._fault else ""
        return True, f"{len(keys.by_kid)} keys, checked {age} s ago{fault}"

    def _refresh(self, wait: bool, for_unknown_kid: bool = False) -> None:
        with self._lock_of_this_process():
            running = self._running
            if running is not None and self._clock() >= self._started_at + _GIVEN_UP_S:
                running = self._running = None
            mine = running is None and self._may_start(for_unknown_kid)
            if mine:
                running = self._running = threading.Event()
                self._started_at = self._clock()
                # Set before the attempt: others go on with what there is instead of queueing here.
                self._due_at = self._clock() + self._retry_s()
                if for_unknown_kid:
                    self._searched_at = self._clock()
        if running is None:
            return
        if mine and self._in_background:
            name = "jwks-refresh"
            threading.Thread(target=self._load, args=(running,), name=name, daemon=True).start()
        elif mine:
            self._load(running)
        if wait:
            running.wait(_FIRST_PATIENCE_S if self._never_settled() else _PATIENCE_S)

    def _may_start(self, for_unknown_kid: bool) -> bool:
        if for_unknown_kid and self._keys is not NO_KEYS:
            searched = self._searched_at
            return searched is None or self._clock() >= searched + self._min_interval
        return self._due_at is None or self._clock() >= self._due_at

    def _retry_s(self) -> float:
        retry = _FIRST_RETRY_S if self._keys is NO_KEYS else self._min_interval
        return min(retry, self._refresh_interval)

    def _load(self, done: threading.Event) -> None:
        """One attempt; whatever happens, the old set stays and the next attempt is possible."""
        warnings: list[str] = []
        fault: str | None = None
        fresh: KeySet | None = None
        try:
            raw = self._document.read()
            if raw is not None:
                fresh = self._parse(raw, warnings.append)
                self._document.accept()
        except (DocumentError, ValueError) as error:
            fault = str(error)
        except Exception as error:  # a file that is gone, a library's surprise: never the caller's
            fault = type(error).__name__
        with self._lock:
            now = self._clock()
            self._fault = fault
            if fault is None:
                self._keys = fresh or self._keys
                self._loaded_at = now
            else:
                warnings.append(f"the key set could not be refreshed: {fault}")
            self._due_at = now + (self._refresh_interval if fault is None else self._retry_s())
            if self._running is done:
                self._running = None
        done.set()
        self._warn(tuple(warnings), now)

    def _warn(self, warnings: tuple[str, ...], now: float) -> None:
        """The same complaints every second would bury the log; once a minute reminds."""
        if warnings and (warnings != self._warned or now >= self._warned_at + _REMIND_S):
            self._warned_at = now
            for warning in warnings:
                self._on_warning(warning)
        self._warned = warnings

    def _never_settled(self) -> bool:
        return self._keys is NO_KEYS and self._fault is None

    def _lock_of_this_process(self) -> threading.Lock:
        """A refresh of the parent does not run in a forked worker, and its lock is never freed."""
        if self._pid != os.getpid():
            self._pid, self._lock, self._running = os.getpid(), threading.Lock(), None
        return self._lock
