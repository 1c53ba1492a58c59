"""The environment, read once into one frozen value. No other module reads it.

Every bad setting is reported together with all the others, by variable name, with what was expected
(D16). With ``PLEXSPHERE_DSN`` empty the pull is not provisioned and nothing else is required.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

PREFIX = "PLEXSPHERE_"


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Times in seconds, sizes in items unless said otherwise."""

    dsn: str = ""
    spicedb_endpoint: str = ""
    spicedb_token: str = ""
    spicedb_ca: str = ""
    spicedb_insecure: bool = False
    spicedb_timeout: float = 1.0
    jwks: str = ""
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_leeway: float = 30.0
    pull_deadline: float = 3.0
    statement_timeout: float = 2.5
    pool_size: int = 8
    held_peers: int = 200_000
    audit: bool = True
    audit_queue: int = 50_000
    body_warning_bytes: int = 8_388_608
    log_format: str = "json"
    log_level: str = "info"
    bind: str = "127.0.0.1:8080"
    workers: int = 2
    threads: int = 16

    @property
    def provisioned(self) -> bool:
        """Whether the pull is meant to be live."""
        return bool(self.dsn)


class SettingsError(Exception):
    """The environment cannot be served; ``complaints`` has one sentence for each bad setting."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


class _Reader:
    """Reads variables and collects what is wrong with them."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.complaints: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        return self.environ.get(PREFIX + name, "").strip() or default

    def number(self, name: str, default: float, low: float, high: float) -> float:
        text = self.text(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            self.complain(name, f"is to be a number of seconds from {low:g} to {high:g}")
            return default
        return value

    def count(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name)
        value = int(text) if text.isascii() and text.isdigit() else (low - 1 if text else default)
        if not low <= value <= high:
            self.complain(name, f"is to be a whole number from {low} to {high}")
            return default
        return value

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in choices:
            self.complain(name, f"is to be one of {', '.join(choices)}")
            return default
        return value

    def flag(self, name: str, default: bool) -> bool:
        return self.choice(name, "1" if default else "0", ("0", "1")) == "1"

    def required(self, name: str, expected: str, check: Callable[[str], bool]) -> str:
        value = self.text(name)
        if not value:
            self.complain(name, f"is not set; it is to be {expected}")
        elif not check(value):
            self.complain(name, f"is malformed; it is to be {expected}")
        return value

    def complain(self, name: str, sentence: str) -> None:
        self.complaints.append(f"{PREFIX}{name} {sentence}")


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process. Raises SettingsError with every complaint at once."""
    reader = _Reader(os.environ if environ is None else environ)
    dsn = reader.text("DSN")
    if dsn:
        _dependencies(reader)
    settings = Settings(
        dsn=dsn,
        spicedb_endpoint=reader.text("SPICEDB_ENDPOINT"),
        spicedb_token=reader.text("SPICEDB_TOKEN"),
        spicedb_ca=reader.text("SPICEDB_CA"),
        spicedb_insecure=reader.flag("SPICEDB_INSECURE", default=False),
        spicedb_timeout=reader.number("SPICEDB_TIMEOUT", 1.0, 0.05, 60),
        jwks=reader.text("JWKS"),
        jwt_issuer=reader.text("JWT_ISSUER"),
        jwt_audience=reader.text("JWT_AUDIENCE"),
        jwt_leeway=reader.number("JWT_LEEWAY", 30.0, 0, 300),
        pull_deadline=reader.number("PULL_DEADLINE", 3.0, 0.1, 60),
        statement_timeout=reader.number("STATEMENT_TIMEOUT", 2.5, 0.1, 60),
        pool_size=reader.count("POOL_SIZE", 8, 1, 1000),
        held_peers=reader.count("HELD_PEERS", 200_000, 0, 100_000_000),
        audit=reader.flag("AUDIT", default=True),
        audit_queue=reader.count("AUDIT_QUEUE", 50_000, 1, 10_000_000),
        body_warning_bytes=reader.count("BODY_WARNING_BYTES", 8_388_608, 1, 2**40),
        log_format=reader.choice("LOG_FORMAT", "json", ("json", "console")),
        log_level=reader.choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        bind=reader.text("BIND", "127.0.0.1:8080"),
        workers=reader.count("WORKERS", 2, 1, 1024),
        threads=reader.count("THREADS", 16, 4, 1024),
    )
    if reader.complaints:
        raise SettingsError(reader.complaints)
    return settings


def _dependencies(reader: _Reader) -> None:
    """What a live pull cannot do without."""
    from db.dsn import is_dsn  # here: only a provisioned service needs the driver's parser
    from server.authn.jwks import check_jwks_setting

    reader.required("DSN", "a libpq URI or key=value string with a host", is_dsn)
    endpoint = reader.required("SPICEDB_ENDPOINT", "host:port", _is_host_port)
    reader.required("SPICEDB_TOKEN", "SpiceDB's preshared key", lambda text: text.isprintable())
    if reader.text("SPICEDB_INSECURE") == "1" and endpoint and not _is_loopback(endpoint):
        reader.complain("SPICEDB_INSECURE", "is for loopback only; set PLEXSPHERE_SPICEDB_CA")
    ca = reader.text("SPICEDB_CA")
    if ca and not Path(ca).is_file():
        reader.complain("SPICEDB_CA", "is to be a file of PEM certificates")
    jwks = reader.text("JWKS")
    complaint = check_jwks_setting(jwks) if jwks else "is not set; it is to be a file or an URL"
    if complaint:
        reader.complain("JWKS", complaint)
    reader.required("JWT_ISSUER", "the `iss` of accepted tokens", lambda text: True)
    reader.required("JWT_AUDIENCE", "the `aud` of accepted tokens", lambda text: True)


def _is_host_port(text: str) -> bool:
    host, separator, port = text.rpartition(":")
    return bool(separator and host and port.isdigit() and 0 < int(port) < 65536)


def _is_loopback(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def metrics_directory() -> str | None:
    """Where prometheus-client adds up the workers of this instance; None with a single process."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")


def share_metrics(directory: str) -> None:
    """Let the workers that are forked from here on count in one directory."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
