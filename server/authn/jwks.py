"""``PLEXSPHERE_JWKS`` as a key source: a path or a URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from server.authn.documents import DocumentError, FileDocument, UrlDocument
from server.authn.keys import KeySource, OnWarning, parse_key_set
from server.authn.refreshing import RefreshingKeys

__all__ = ["KeySource", "check_jwks_setting", "file_keys", "key_source", "url_keys"]

_EXPECTED = "is to be a file with a JWKS, or an https URL (http for loopback only)"


def unheard(warning: str) -> None:
    """The callback of a source nobody listens to."""


def key_source(
    setting: str,
    *,
    on_warning: OnWarning = unheard,
    clock: Callable[[], float] = time.monotonic,
) -> KeySource:
    """The source that a setting without a complaint names. Reads nothing until first asked."""
    if "://" in setting:
        return url_keys(setting, on_warning=on_warning, clock=clock)
    return file_keys(Path(setting), on_warning=on_warning, clock=clock)


def file_keys(
    path: Path,
    *,
    check_interval: float = 1.0,
    on_warning: OnWarning = unheard,
    clock: Callable[[], float] = time.monotonic,
) -> KeySource:
    """Keys from a file, looked at once every ``check_interval`` seconds of use at most."""
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
    on_warning: OnWarning = unheard,
    clock: Callable[[], float] = time.monotonic,
) -> KeySource:
    """Keys from a URL, fetched anew every ``refresh_interval`` s and for unknown kids."""
    return RefreshingKeys(
        UrlDocument(url, ca),
        refresh_interval=refresh_interval,
        min_interval=min_interval,
        in_background=True,
        clock=clock,
        on_warning=on_warning,
    )


def check_jwks_setting(value: str) -> str | None:
    """What is wrong with the setting, as a sentence that goes on from its name; None if nothing.

    A file is read now (a wrong one is malformed); a URL is not fetched (a service that is away is
    merely unreachable, and must not keep this one from starting).
    """
    if not value.strip():
        return f"{_EXPECTED}: it is blank"
    if "://" in value:
        return _check_url(value)
    try:
        content = FileDocument(Path(value)).read()
        parse_key_set(content or b"", unheard)
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
    if parts.scheme == "http" and not _is_loopback(host):
        return f"{_EXPECTED}: plain http leaves this machine"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
