"""A JWKS from a file or a URL, kept current without a restart and without delaying a request."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from db.dsn import is_on_this_machine
from server.authn.kept_keys import NotKept, kept
from server.authn.key_documents import (
    MAX_BYTES,
    DocumentError,
    FileDocument,
    KeyDocument,
)
from server.authn.keys import NO_KEYS, KeySet, OnWarning, ignore_warning, parse_key_set
from server.replaced_files import replace_file

# How long a request waits for a refresh in another thread: the first load, or a new kid. With a
# longer wait, many unknown kids would occupy every thread while the URL does not answer.
_WAIT_S = 0.25
# The very first attempt may need a cold TLS handshake; no token can be verified before it ends.
_FIRST_WAIT_S = 2.0
# A source without any set tries again this often; with a set, min_interval decides.
_FIRST_RETRY_S = 1.0
_REPEAT_WARNING_S = 60.0

_EXPECTED = "must be a file with a JWKS, or an https URL (http for loopback only)"

# The bytes of a document as a key set. Raises ValueError.
Parse = Callable[[bytes, OnWarning], KeySet]


class RefreshingKeys:
    """Loads ``document`` on first use, again every ``refresh_interval`` s, and for unknown kids.

    A failed refresh keeps the old set and is tried again after ``min_interval`` s. With
    ``in_background`` a refresh runs in a thread of its own and requests use the old set meanwhile.
    ``clock`` is monotonic seconds; ``on_warning`` gets one line for each fault or ignored key.
    """

    def __init__(
        self,
        document: KeyDocument,
        *,
        refresh_interval: float,
        min_interval: float,
        in_background: bool,
        clock: Callable[[], float],
        on_warning: OnWarning,
        parse: Parse = parse_key_set,
        max_age: float = 0.0,
        kept_in: Path | None = None,
    ) -> None:
        """A set that was not confirmed for ``max_age`` seconds is none (0: any age). The last good
        set is kept in the file ``kept_in``, and used before the first load succeeds."""
        self._document = document
        self._refresh_interval = refresh_interval
        self._min_interval = min_interval
        self._in_background = in_background
        self._clock = clock
        self._on_warning = on_warning
        self._parse = parse
        self._max_age = max_age
        self._kept_in = kept_in
        self._failures = 0
        self._keys: KeySet = NO_KEYS
        self._confirmed = b""  # the bytes of the last set that the document had
        self._loaded_at: float | None = None
        self._due_at: float | None = None  # None: never tried
        self._refreshed_for_kid_at: float | None = None
        self._fault: str | None = None
        self._warned: tuple[str, ...] = ()
        self._warned_at = 0.0
        self._running: threading.Event | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def current(self) -> KeySet:
        """The newest usable set; starts a refresh when one is due."""
        if self._due_at is None or self._clock() >= self._due_at or self._keys is NO_KEYS:
            self._refresh(wait=self._keys is NO_KEYS)
        return self._fresh_enough()

    def refreshed_for(self, kid: str) -> KeySet:
        """The set, refreshed if it lacks ``kid``; at most one such refresh a ``min_interval``."""
        if kid not in self._keys.by_kid:
            self._refresh(wait=True, for_unknown_kid=True)
        return self._fresh_enough()

    def failures(self) -> int:
        """The number of refreshes that failed one after the other until now."""
        return self._failures

    def _fresh_enough(self) -> KeySet:
        loaded_at = self._loaded_at
        is_old = loaded_at is not None and 0 < self._max_age < self._clock() - loaded_at
        return NO_KEYS if is_old else self._keys

    def describe(self) -> tuple[bool, str]:
        """(is there a usable set, the number of keys and their age, or the last fault)."""
        keys = self.current()
        if keys is NO_KEYS or self._loaded_at is None:
            return False, f"no keys: {self._fault or 'not loaded yet'}"
        age = int(self._clock() - self._loaded_at)
        fault = f"; last refresh failed: {self._fault}" if self._fault else ""
        return True, f"{len(keys.by_kid)} keys, checked {age} s ago{fault}"

    def _refresh(self, wait: bool, for_unknown_kid: bool = False) -> None:
        with self._lock_of_this_process():
            running = self._running
            starts_here = running is None and self._may_start(for_unknown_kid)
            if starts_here:
                running = self._running = threading.Event()
                # Set before the attempt: other threads use the old set instead of waiting here.
                self._due_at = self._clock() + self._retry_s()
                if for_unknown_kid:
                    self._refreshed_for_kid_at = self._clock()
        if running is None:
            return
        if starts_here and self._in_background:
            name = "jwks-refresh"
            threading.Thread(target=self._load, args=(running,), name=name, daemon=True).start()
        elif starts_here:
            self._load(running)
        if wait:
            running.wait(_FIRST_WAIT_S if self._has_no_result() else _WAIT_S)

    def _may_start(self, for_unknown_kid: bool) -> bool:
        if for_unknown_kid and self._keys is not NO_KEYS:
            last = self._refreshed_for_kid_at
            return last is None or self._clock() >= last + self._min_interval
        return self._due_at is None or self._clock() >= self._due_at

    def _retry_s(self) -> float:
        retry = _FIRST_RETRY_S if self._keys is NO_KEYS else self._min_interval
        return min(retry, self._refresh_interval)

    def _load(self, done: threading.Event) -> None:
        """One attempt; a failed attempt keeps the old set and allows the next attempt."""
        warnings: list[str] = []
        fault: str | None = None
        fresh: KeySet | None = None
        try:
            raw = self._document.read()
            if raw is not None:
                fresh = self._parse(raw, warnings.append)
                self._document.accept()
                self._confirmed = raw
            self._keep(warnings)
        except (DocumentError, ValueError) as error:
            fault = str(error)
        except Exception as error:  # a missing file, or an unexpected error of a library
            fault = type(error).__name__
        kept_age = 0.0
        if fault is not None and self._keys is NO_KEYS:
            fresh, kept_age = self._kept(warnings)
        with self._lock:
            now = self._clock()
            self._fault = fault
            self._failures = 0 if fault is None else self._failures + 1
            if fault is None:
                self._keys = fresh or self._keys
                self._loaded_at = now
            else:
                warnings.append(f"the key set could not be refreshed: {fault}")
                if fresh is not None:
                    self._keys, self._loaded_at = fresh, now - kept_age
            self._due_at = now + (self._refresh_interval if fault is None else self._retry_s())
            if self._running is done:
                self._running = None
        done.set()
        self._warn(tuple(warnings), now)

    def _keep(self, warnings: list[str]) -> None:
        """The time of the file, which is the age of the set after a start, is that of now."""
        if self._kept_in is not None:
            try:
                replace_file(self._kept_in, self._confirmed)
            except OSError as error:
                warnings.append(f"the key set cannot be kept: {type(error).__name__}")

    def _kept(self, warnings: list[str]) -> tuple[KeySet | None, float]:
        """The set of before and its age, where there is one."""
        if self._kept_in is None:
            return None, 0.0
        try:
            raw, age = kept(self._kept_in, MAX_BYTES)
            return self._parse(raw, ignore_warning), age
        except FileNotFoundError:
            return None, 0.0
        except (NotKept, ValueError, OSError) as error:
            warnings.append(f"the kept key set is not used: {error}")
            return None, 0.0

    def _warn(self, warnings: tuple[str, ...], now: float) -> None:
        """The same warnings every second would fill the log; they are repeated once a minute."""
        if warnings and (warnings != self._warned or now >= self._warned_at + _REPEAT_WARNING_S):
            self._warned_at = now
            for warning in warnings:
                self._on_warning(warning)
        self._warned = warnings

    def _has_no_result(self) -> bool:
        return self._keys is NO_KEYS and self._fault is None

    def _lock_of_this_process(self) -> threading.Lock:
        """A refresh of the parent does not run in a forked worker, and its lock stays locked."""
        if self._pid != os.getpid():
            self._pid, self._lock, self._running = os.getpid(), threading.Lock(), None
        return self._lock


def key_source(
    setting: str,
    *,
    on_warning: OnWarning = ignore_warning,
    clock: Callable[[], float] = time.monotonic,
    max_age: float = 0.0,
    kept_in: Path | None = None,
) -> RefreshingKeys:
    """The source that ``PLEXSPHERE_JWKS`` names. Reads nothing before the first use.

    ``max_age`` and ``kept_in`` are for a URL: see RefreshingKeys.
    """
    if "://" in setting:
        return url_keys(
            setting, on_warning=on_warning, clock=clock, max_age=max_age, kept_in=kept_in
        )
    return file_keys(Path(setting), on_warning=on_warning, clock=clock)


def file_keys(
    path: Path,
    *,
    check_interval: float = 1.0,
    on_warning: OnWarning = ignore_warning,
    clock: Callable[[], float] = time.monotonic,
) -> RefreshingKeys:
    """Keys from a file, which is checked at most once every ``check_interval`` seconds of use."""
    return RefreshingKeys(
        FileDocument(path),
        refresh_interval=check_interval,
        min_interval=check_interval,
        in_background=False,
        clock=clock,
        on_warning=on_warning,
    )


def url_keys(
    url: str,
    *,
    ca: Path | None = None,
    refresh_interval: float = 300.0,
    min_interval: float = 10.0,
    on_warning: OnWarning = ignore_warning,
    clock: Callable[[], float] = time.monotonic,
    max_age: float = 0.0,
    kept_in: Path | None = None,
) -> RefreshingKeys:
    """Keys from a URL, fetched again every ``refresh_interval`` s and for unknown kids."""
    from server.authn.url_document import UrlDocument

    return RefreshingKeys(
        UrlDocument(url, ca),
        refresh_interval=refresh_interval,
        min_interval=min_interval,
        in_background=True,
        clock=clock,
        on_warning=on_warning,
        max_age=max_age,
        kept_in=kept_in,
    )


def check_jwks_setting(value: str) -> str | None:
    """The fault of ``PLEXSPHERE_JWKS``, as a sentence that follows its name; None without a fault.

    A file is read now. A URL is not fetched: a service that does not answer must not keep this
    service from starting.
    """
    if not value.strip():
        return f"{_EXPECTED}: it is blank"
    if "://" in value:
        return _check_url(value)
    try:
        content = FileDocument(Path(value)).read()
        parse_key_set(content or b"", ignore_warning)
    except (DocumentError, ValueError) as error:
        return f"{_EXPECTED}: {error}"
    except OSError as error:
        return f"{_EXPECTED}: {error.strerror or type(error).__name__}"
    return None


def _check_url(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return f"{_EXPECTED}: not a URL"
    if not host or parts.scheme not in ("https", "http"):
        return f"{_EXPECTED}: not an http(s) URL with a host"
    if parts.scheme == "http" and not is_on_this_machine(host):
        return f"{_EXPECTED}: plain http would leave this machine"
    return None
