"""The last good key set of a URL in a file, for a process that starts while the URL is away."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

MODE = 0o600


class NotKept(Exception):
    """The file cannot be used; the message says why, without its content."""


def kept(path: Path, max_bytes: int) -> tuple[bytes, float]:
    """The content and its age in seconds. Raises NotKept, OSError.

    A file that others can write would let them sign tokens.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotKept("not a regular file")
        if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) != MODE:
            raise NotKept("not ours alone (mode 0600)")
        if facts.st_size > max_bytes:
            raise NotKept("too large")
        return file.read(max_bytes), max(0.0, time.time() - facts.st_mtime)
