"""``PLEXSPHERE_NATS_*`` as one value. Without nats-py, whose import takes a quarter of a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from db.dsn import is_on_this_machine


@dataclass(frozen=True, slots=True)
class NatsEndpoint:
    """``urls`` are of one cluster: ``nats://host:port`` on loopback, else ``tls://host:port``.

    ``ca`` is a PEM file, None for the roots of the system. ``credentials`` is a file, None for a
    server without authentication.
    """

    urls: tuple[str, ...]
    credentials: Path | None = None
    ca: Path | None = None

    @property
    def uses_tls(self) -> bool:
        """Whether every connection must be encrypted."""
        return any(url.startswith("tls://") for url in self.urls)


def parse_urls(text: str) -> tuple[str, ...]:
    """The URLs of PLEXSPHERE_NATS_URL, comma-separated. Raises ValueError."""
    urls = tuple(part.strip() for part in text.split(","))
    schemes = set()
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("nats", "tls") or not parts.hostname or not parts.port:
            raise ValueError("not nats://host:port or tls://host:port")
        if parts.username is not None or parts.path or parts.query or parts.fragment:
            raise ValueError("more than a host and a port")
        if parts.scheme == "nats" and not is_on_this_machine(parts.hostname):
            raise ValueError("no TLS outside loopback")
        schemes.add(parts.scheme)
    if len(schemes) > 1:
        raise ValueError("with and without TLS")
    return urls
