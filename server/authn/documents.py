"""Where the bytes of a JWKS come from: a file or a URL."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import requests
from urllib3.exceptions import HTTPError

# A hundred RSA keys are 40 kB; more than this is not a key set of ours.
MAX_BYTES = 256 * 1024


class DocumentError(Exception):
    """The document cannot be read; the text names no content, only what is wrong."""


class Document(Protocol):
    """Bytes that may change. ``read`` raises DocumentError (and OSError), never anything else."""

    def read(self) -> bytes | None:
        """The bytes, or None when they are those of the last ``accept``."""
        ...

    def accept(self) -> None:
        """The bytes last read made a usable set: do not hand them out again."""
        ...


class FileDocument:
    """A file, looked at by ``stat`` and read only when that changed."""

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


class UrlDocument:
    """A URL, fetched with TLS verification, within ``total_s`` seconds, without redirects.

    ``ca`` is a file of trusted roots, None for those the library carries. Proxies and netrc of the
    environment are not used: where keys come from is a setting and nothing else.
    """

    def __init__(
        self,
        url: str,
        ca: Path | None = None,
        timeout_s: float = 1.0,
        total_s: float = 3.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._verify: str | bool = str(ca) if ca else True
        self._timeout_s = timeout_s
        self._total_s = total_s
        self._clock = clock
        self._read: bytes | None = None
        self._accepted: bytes | None = None

    def read(self) -> bytes | None:
        until = self._clock() + self._total_s
        # A session a fetch: nothing is shared across forks and threads, and it is rare.
        with requests.Session() as session:
            session.trust_env = False
            try:
                content = self._fetch(session, until)
            except (requests.RequestException, HTTPError) as error:
                # The message would hold the URL, which may hold credentials.
                raise DocumentError(type(error).__name__) from None
        self._read = content
        return None if content == self._accepted else content

    def accept(self) -> None:
        self._accepted = self._read

    def _fetch(self, session: requests.Session, until: float) -> bytes:
        with session.get(
            self._url,
            timeout=(self._timeout_s, self._timeout_s),
            verify=self._verify,
            # A redirect could lead anywhere, down to plain http: the setting names the place.
            allow_redirects=False,
            stream=True,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        ) as response:
            if response.status_code != 200:
                raise DocumentError(f"status {response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise DocumentError("compressed although not asked for")
            content = bytearray()
            # The read timeout is per piece and read1 hands out every piece: a server that drips is
            # bounded here, where iter_content would wait for a full buffer.
            while piece := response.raw.read1(8192, decode_content=False):
                content += piece
                if len(content) > MAX_BYTES:
                    raise DocumentError(f"larger than {MAX_BYTES} bytes")
                if self._clock() > until:
                    raise DocumentError("too slow")
        return bytes(content)
