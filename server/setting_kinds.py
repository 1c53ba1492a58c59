"""The kinds of settings: what a text must look like, and what its value is then."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_network
from typing import Any

from server.events.endpoint import parse_urls
from server.events.keys import parse_keks
from server.gunicorn.sources import Network
from server.test_clock import is_readable

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
DECLARATION = "setting"  # the key of a field's metadata


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one variable.

    ``parse`` raises ValueError for a text that is not as ``expected`` says. ``at_limit`` is what
    happens when the bound is reached, or what the value decides where there is no limit.
    """

    parse: Callable[[str], Any]
    expected: str
    unit: str
    bound: str
    meaning: str
    at_limit: str


def text(meaning: str, at_limit: str, *, is_secret: bool = False) -> Any:
    """Any text."""
    return _declare("", Setting(str, "text", "", "", meaning, at_limit), is_secret=is_secret)


def seconds(default: float, low: float, high: float, meaning: str, at_limit: str) -> Any:
    """A number of seconds."""

    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError
        return value

    expected = f"a number of seconds from {low:g} to {high:.8g}"
    bound = f"{low:g} to {high:.8g}"
    return _declare(default, Setting(parse, expected, "seconds", bound, meaning, at_limit))


def count(default: int, low: int, high: int, unit: str, meaning: str, at_limit: str) -> Any:
    """A whole number of something."""

    def parse(text: str) -> int:
        value = whole_number(text)
        if value is None or not low <= value <= high:
            raise ValueError
        return value

    expected = f"a whole number from {low} to {high}"
    bound = f"{low} to {high}"
    return _declare(default, Setting(parse, expected, unit, bound, meaning, at_limit))


def choice(default: str, choices: tuple[str, ...], meaning: str, at_limit: str) -> Any:
    """One of several words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError
        return text

    listed = ", ".join(choices)
    return _declare(default, Setting(parse, f"one of {listed}", "", listed, meaning, at_limit))


def switch(default: bool, meaning: str, at_limit: str) -> Any:
    """0 or 1."""

    def parse(text: str) -> bool:
        if text not in ("0", "1"):
            raise ValueError
        return text == "1"

    return _declare(default, Setting(parse, "one of 0, 1", "", "0, 1", meaning, at_limit))


def address(default: str, meaning: str, at_limit: str) -> Any:
    """An address to listen at."""

    def parse(text: str) -> str:
        if text.startswith("unix:/"):
            return text
        host, _, port = text.rpartition(":")
        number = whole_number(port)
        if number is None or number >= 65_536:
            raise ValueError
        if host.startswith("[") and host.endswith("]"):
            IPv6Address(host[1:-1])
        elif not _HOST.fullmatch(host):  # gunicorn reads ::1:8080 as port 8080 of every address
            raise ValueError
        return text

    expected = "host:port, [IPv6 address]:port or unix:/path"
    return _declare(default, Setting(parse, expected, "", expected, meaning, at_limit))


def path_prefix(meaning: str, at_limit: str) -> Any:
    """The beginning of a path, without a slash at its end."""

    def parse(text: str) -> str:
        if not _PREFIX.fullmatch(text):
            raise ValueError
        return text

    expected = "a path such as /mesh, without a slash at its end"
    return _declare("", Setting(parse, expected, "", "a path", meaning, at_limit))


def networks(meaning: str, at_limit: str) -> Any:
    """Networks, empty by default."""

    def parse(text: str) -> tuple[Network, ...]:
        return tuple(ip_network(part.strip()) for part in text.split(","))

    expected = "networks such as 10.0.0.0/8, comma-separated"
    return _declare((), Setting(parse, expected, "", "networks", meaning, at_limit))


def nats_urls(meaning: str, at_limit: str) -> Any:
    """The servers of one NATS cluster, empty by default."""
    expected = "nats://host:port on loopback, tls://host:port elsewhere, comma-separated"
    return _declare((), Setting(parse_urls, expected, "", "URLs", meaning, at_limit))


def clock_file(meaning: str, at_limit: str) -> Any:
    """The file of a test clock."""

    def parse(text: str) -> str:
        if not is_readable(text):
            raise ValueError
        return text

    expected = "a file that holds seconds; for tests only"
    return _declare("", Setting(parse, expected, "", "a file", meaning, at_limit))


def secret_keys(meaning: str, at_limit: str) -> Any:
    """32 random bytes, once or twice."""
    expected = (
        "32 bytes in base64, or two of them with a comma between; `plexsphere-state events kek` "
        "makes one"
    )
    setting = Setting(parse_keks, expected, "", "base64 of 32 bytes, one or two", meaning, at_limit)
    return _declare((), setting, is_secret=True)


def _declare(default: Any, setting: Setting, *, is_secret: bool = False) -> Any:
    return field(default=default, repr=not is_secret, metadata={DECLARATION: setting})


def whole_number(text: str) -> int | None:
    """The number that plain digits spell; None for anything longer than a setting can be."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
