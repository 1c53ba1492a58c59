"""Where keys are read from: a file, or bytes of a setting; a URL has a module of its own."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Protocol

# A hundred RSA keys are 40 kB.
MAX_BYTES = 256 * 1024


class DocumentError(Exception):
    """The document cannot be read; the message does not quote its content."""


class KeyDocument(Protocol):
    """Bytes that may change. ``read`` raises DocumentError and OSError only."""

    def read(self) -> bytes | None:
        """The bytes, or None when they are those of the last ``accept``."""
        ...

    def accept(self) -> None:
        """The bytes of the last ``read`` made a usable set: ``read`` must not return them again."""
        ...


class FileDocument:
    """A file, read only when its ``stat`` changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, ...] | None = None
        self._accepted: tuple[int, ...] | None = None

    def read(self) -> bytes | None:
        # Non-blocking: opening a FIFO by mistake must fail here instead of hanging a worker.
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise DocumentError("not a regular file")
            self._read = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
            if self._read == self._accepted:
                return None
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise DocumentError(f"larger than {MAX_BYTES} bytes")
        return content

    def accept(self) -> None:
        self._accepted = self._read


class FixedDocument:
    """Bytes that stay the same."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._accepted = False

    def read(self) -> bytes | None:
        return None if self._accepted else self._content

    def accept(self) -> None:
        self._accepted = True
