"""The environment, read once into one frozen value. No other module reads it.

Every bad setting is reported together with all the others, by variable name, with what was
expected. With ``PLEXSPHERE_DSN`` empty the pull is not provisioned and nothing else is required.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from db.dsn import is_dsn
from server.authn.jwks import check_jwks_setting
from server.authn.own_keys import check_signing_setting
from server.authz.endpoint import SpiceDbEndpoint, check_endpoint
from server.moved_time import is_readable

PREFIX = "PLEXSPHERE_"
METRICS_FOLDER = "plexsphere-metrics-"  # what the name of a folder of ours has in it


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. Times in seconds, sizes in items unless said otherwise."""

    dsn: str = ""
    spicedb: SpiceDbEndpoint = field(default_factory=lambda: SpiceDbEndpoint("", ""))
    spicedb_timeout: float = 1.0
    jwks: str = ""
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_leeway: float = 30.0
    # a path, or the private JWK itself: never to be shown
    signing_key: str = field(default="", repr=False)
    pull_deadline: float = 3.0
    statement_timeout: float = 2.5
    pool_size: int = 8
    write_pool_size: int = 4
    lock_timeout: float = 1.0
    # the longest unreachable_after there is: by then no peer believes in the old Node any more
    address_hold_off: float = 3_600.0
    held_peers: int = 200_000
    report_quota: int = 128
    entry_quota: int = 128
    audit: bool = True
    audit_queue: int = 50_000
    history: int = 0
    body_warning_bytes: int = 8_388_608
    log_format: str = "json"
    log_level: str = "info"
    bind: str = "127.0.0.1:8080"
    workers: int = 2
    threads: int = 16
    evaluator_interval: float = 5.0
    test_clock: str = ""

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
        value = _whole(text) if text else default
        if value is None or not low <= value <= high:
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

    def address(self, name: str, default: str) -> str:
        value = self.text(name, default)
        host, _, port = value.rpartition(":")
        number = _whole(port)
        if value.startswith("unix:/") or (host and number is not None and number < 65_536):
            return value
        self.complain(name, "is to be host:port or unix:/path")
        return default

    def required(
        self, name: str, expected: str, check: Callable[[str], bool] = lambda text: True
    ) -> bool:
        value = self.text(name)
        if not value:
            self.complain(name, f"is not set; it is to be {expected}")
        elif not check(value):
            self.complain(name, f"is malformed; it is to be {expected}")
        return bool(value)

    def complain(self, name: str, sentence: str) -> None:
        self.complaints.append(f"{PREFIX}{name} {sentence}")


def read_settings(
    environ: Mapping[str, str] | None = None, ledger_only: bool = False, tokenless: bool = False
) -> Settings:
    """The settings of this process. Raises SettingsError with every complaint at once.

    With ``ledger_only`` nothing is required of what only requests need: SpiceDB and the tokens';
    with ``tokenless`` SpiceDB is, and so is the DSN.
    """
    reader = _Reader(os.environ if environ is None else environ)
    dsn = reader.text("DSN")
    spicedb = _endpoint(reader)
    if (dsn or tokenless) and not ledger_only:
        _stores(reader, spicedb)
    if dsn and not ledger_only and not tokenless:
        _tokens(reader)
    settings = Settings(
        dsn=dsn,
        spicedb=spicedb,
        spicedb_timeout=reader.number("SPICEDB_TIMEOUT", 1.0, 0.05, 60),
        jwks=reader.text("JWKS"),
        jwt_issuer=reader.text("JWT_ISSUER"),
        jwt_audience=reader.text("JWT_AUDIENCE"),
        jwt_leeway=reader.number("JWT_LEEWAY", 30.0, 0, 300),
        signing_key=_signing_key(reader),
        pull_deadline=reader.number("PULL_DEADLINE", 3.0, 0.1, 60),
        statement_timeout=reader.number("STATEMENT_TIMEOUT", 2.5, 0.1, 60),
        pool_size=reader.count("POOL_SIZE", 8, 1, 1000),
        write_pool_size=reader.count("WRITE_POOL_SIZE", 4, 1, 1000),
        lock_timeout=reader.number("LOCK_TIMEOUT", 1.0, 0.01, 60),
        address_hold_off=reader.number("ADDRESS_HOLD_OFF", 3_600.0, 0, 31_536_000),
        held_peers=reader.count("HELD_PEERS", 200_000, 0, 100_000_000),
        report_quota=reader.count("REPORT_QUOTA", 128, 1, 100_000),
        entry_quota=reader.count("ENTRY_QUOTA", 128, 1, 100_000),
        audit=reader.flag("AUDIT", default=True),
        audit_queue=reader.count("AUDIT_QUEUE", 50_000, 1, 10_000_000),
        history=reader.count("HISTORY", 0, 0, 100),
        body_warning_bytes=reader.count("BODY_WARNING_BYTES", 8_388_608, 1, 2**40),
        log_format=reader.choice("LOG_FORMAT", "json", ("json", "console")),
        log_level=reader.choice("LOG_LEVEL", "info", ("debug", "info", "warning", "error")),
        bind=reader.address("BIND", "127.0.0.1:8080"),
        workers=reader.count("WORKERS", 2, 1, 1024),
        threads=reader.count("THREADS", 16, 4, 1024),
        # Longer, and a takeover would look like a pause (composer/reachability.py).
        evaluator_interval=reader.number("EVALUATOR_INTERVAL", 5.0, 0.1, 6),
        test_clock=_test_clock(reader),
    )
    if settings.history and not settings.audit:  # whose rows tell when each body was served
        reader.complain("HISTORY", "is to be 0 where PLEXSPHERE_AUDIT is 0")
    if reader.complaints:
        raise SettingsError(reader.complaints)
    return settings


def _stores(reader: _Reader, spicedb: SpiceDbEndpoint) -> None:
    """Where the ledger and the relationships are."""
    reader.required("DSN", "a libpq URI or key=value string with a host", is_dsn)
    given = {
        "endpoint": reader.required("SPICEDB_ENDPOINT", "host:port"),
        "token": reader.required("SPICEDB_TOKEN", "SpiceDB's preshared key"),
    }
    for complaint in check_endpoint(spicedb):
        name, _, expected = complaint.partition(": ")
        if given.get(name, True):
            reader.complain(f"SPICEDB_{name.upper()}", f"is malformed: {expected}")


def _tokens(reader: _Reader) -> None:
    """What a live pull cannot do without beside the stores."""
    if reader.required("JWKS", "a file with a JWKS or an https URL"):
        complaint = check_jwks_setting(reader.text("JWKS"))
        if complaint:
            reader.complain("JWKS", complaint)
    reader.required("JWT_ISSUER", "the `iss` of accepted tokens")
    reader.required("JWT_AUDIENCE", "the `aud` of accepted tokens")


def _signing_key(reader: _Reader) -> str:
    """Optional: without it no token is minted, and the operations that mint one answer 501."""
    setting = reader.text("SIGNING_KEY")
    complaint = check_signing_setting(setting, reader.text("JWKS")) if setting else None
    if complaint:
        reader.complain("SIGNING_KEY", complaint)
    return setting


def _test_clock(reader: _Reader) -> str:
    path = reader.text("TEST_CLOCK")
    if path and not is_readable(path):
        reader.complain("TEST_CLOCK", "is to be a file that holds seconds; for tests only")
    return path


def _endpoint(reader: _Reader) -> SpiceDbEndpoint:
    ca = reader.text("SPICEDB_CA")
    return SpiceDbEndpoint(
        address=reader.text("SPICEDB_ENDPOINT"),
        preshared_key=reader.text("SPICEDB_TOKEN"),
        ca=Path(ca) if ca else None,
        insecure=reader.flag("SPICEDB_INSECURE", default=False),
    )


def _whole(text: str) -> int | None:
    """The number that plain digits spell; what is longer than any setting is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def metrics_directory() -> str | None:
    """Where prometheus-client adds up the workers of this instance; None with a single process."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")


def share_metrics(directory: str) -> None:
    """Let the workers that are forked from here on count in one directory."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
