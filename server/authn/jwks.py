"""``PLEXSPHERE_JWKS``, looked at before anything is started with it."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from server.authn.documents import DocumentError, FileDocument
from server.authn.keys import parse_key_set, unheard

_EXPECTED = "must be a file with a JWKS, or an https URL (http for loopback only)"


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
