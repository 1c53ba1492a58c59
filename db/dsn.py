"""The DSN: its faults, and the DSN of every session with what our statements rely on pinned.

A role, a database or a shell may set the isolation, a read-only mode, the time zone, formats and
the search path of its sessions. Our sessions set them all, at the start of each connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from itertools import zip_longest

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

# A host that acknowledges nothing for this long is gone (milliseconds): when the DSN names several
# hosts the next one is tried, which connect_timeout alone does not do in asynchronous mode.
# Without an empty hostaddr the environment or a service file could lead the DSN elsewhere.
NETWORK = {"tcp_user_timeout": "1000", "hostaddr": ""}
# Of every session. PGTZ in the environment would override TimeZone, so no statement relies on it.
PINNED = {
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "search_path": "pg_catalog",
}

_EXPECTED = "it must be a libpq URI or key=value string with a host"
_ENCODE = "percent-encode the user and the password: @ is %40, / is %2F, : is %3A, # is %23"
_NUMBERS = (
    *("connect_timeout", "tcp_user_timeout"),
    *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
)
_WORDS = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "target_session_attrs": (
        *("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    ),
}


def dsn_fault(text: str) -> str | None:
    """The fault of a DSN, as a sentence that follows its name; None without a fault.

    The sentence quotes nothing of the DSN, because any part of it may be a password.
    """
    try:
        parts = parse_dsn(text)
    except (psycopg2.ProgrammingError, UnicodeDecodeError):
        hint = f"; {_ENCODE}; an IPv6 address stands in [brackets]" if "://" in text else ""
        return f"is malformed; {_EXPECTED}{hint}"
    host, port = parts.get("host", ""), parts.get("port", "")
    if not host:
        return f"is malformed; {_EXPECTED}"
    is_split = "://" in text and ("@" in host or "@" in parts.get("dbname", ""))
    if is_split or not all(map(_is_port, port.split(","))):
        hint = f": {_ENCODE}" if "://" in text else " from 1 to 65535"
        return f"has a host or port that is none{hint}"
    for name in _NUMBERS:
        if name in parts and not _is_number(parts[name]):
            return f"has a {name} that is no whole number"
    for name, allowed in _WORDS.items():
        if parts.get(name, allowed[0]) not in allowed:
            return f"has an unknown {name}; it must be one of {', '.join(allowed)}"
    return None


def is_unverified(text: str) -> bool:
    """Whether a sound DSN may send its password, and take rows, over a wire that proves nothing.

    Every host on loopback or on a Unix socket is safe. For others the DSN itself must say
    ``sslmode=verify-full``: PGSSLMODE does not count, because a service file may override it.
    """
    parts = parse_dsn(text)
    if parts.get("sslmode") == "verify-full":
        return False
    hosts, addresses = parts.get("host", "").split(","), parts.get("hostaddr", "").split(",")
    reached = [address or host for host, address in zip_longest(hosts, addresses, fillvalue="")]
    return not all(map(is_on_this_machine, reached))


def is_on_this_machine(host: str) -> bool:
    """Whether a host is loopback or the path of a Unix socket; by name only ``localhost`` is."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith(("/", "@"))


def session_dsn(dsn: str, parameters: Mapping[str, str], **defaults: str) -> str:
    """The DSN of a session: with ``parameters`` of the server, and ``defaults`` of libpq.

    What the DSN sets itself wins, but not over PINNED and the encoding.
    """
    own = parse_dsn(dsn)
    flags = [
        _flags(parameters),
        own.get("options", ""),
        _flags(PINNED),
        _flags(_access(parameters)),
    ]
    options = " ".join(filter(None, flags))
    settings = {**NETWORK, **defaults, **own, "options": options, "client_encoding": "UTF8"}
    return str(make_dsn(dsn, **settings))


def _access(parameters: Mapping[str, str]) -> dict[str, str]:
    """Whether the session may write; off where nothing is said."""
    name = "default_transaction_read_only"
    return {name: parameters.get(name, "off")}


def _flags(parameters: Mapping[str, str]) -> str:
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in parameters.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def _is_port(text: str) -> bool:
    return not text or (_is_number(text) and 0 < int(text) < 65_536)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def later_hosts(dsn: str) -> list[str]:
    """The DSN without its first host, then without its first two, and so on; empty for one."""
    parts = parse_dsn(dsn)
    places = {
        name: parts[name].split(",")
        for name in ("host", "hostaddr", "port")
        if "," in parts.get(name, "")
    }
    return [
        str(make_dsn(dsn, **{name: ",".join(found[at:]) for name, found in places.items()}))
        for at in range(1, max(map(len, places.values()), default=1))
    ]


def without_password(dsn: str) -> tuple[str, str]:
    """The DSN without its password, and the password; empty where it has none."""
    parts = parse_dsn(dsn)
    password = parts.pop("password", "")
    return make_dsn(**parts), password
