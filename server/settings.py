"""The environment, read once into one frozen value.

No other module reads it, except server/dev, which runs the embedded stack.

Each setting is declared once, with its default, unit, bounds and meaning, in one of three groups:
server/settings_of_systems.py, settings_of_limits.py and settings_of_serving.py. docs/settings.md is
made from the declarations. Every bad setting is reported together with all the others, by name,
with what was expected. With ``PLEXSPHERE_DSN`` empty nothing else is required.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from db.dsn import dsn_fault, is_unverified
from server.authn.key_sources import check_jwks_setting
from server.authn.signing import check_signing_setting
from server.authz.endpoint import check_endpoint
from server.setting_kinds import DECLARATION, Setting
from server.settings_of_serving import ServingSettings
from server.threads import RESERVED, Threads, shared_out

PREFIX = "PLEXSPHERE_"
# Variables of the command line and of `make run`, which are no settings of the service.
COMMAND_VARIABLES = {
    PREFIX + name: meaning
    for name, meaning in {
        "URL": "the service; empty: where `PLEXSPHERE_BIND` listens",
        "TOKEN": "the token of the agent of `PLEXSPHERE_NODE_ID`",
        "TOKEN_B": "the token for the second service of `diff`; `make run` writes none",
        "OPERATOR_TOKEN": "the token of a caller that manages the platform",
        "AUDITOR_TOKEN": "the token of a caller that reads the audit of `PLEXSPHERE_DOMAIN_ID`",
        "NODE_ID": "a Node of the sample",
        "BRIDGE_NODE_ID": "a Node of the sample that hosts a bridge",
        "IPV6_NODE_ID": "a Node of the sample with an IPv6 address",
        "DOMAIN_ID": "the Domain of these Nodes",
    }.items()
}
# Variables of libpq that count: they lead to no other server and in no other way.
PROOFS = {"PGPASSWORD", "PGPASSFILE", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT", "PGSSLCRL"}
METRICS_FOLDER = "plexsphere-metrics-"  # part of the name of a folder that the service makes


@dataclass(frozen=True, slots=True)
class Settings(ServingSettings):
    """All settings. The variable of a field is its name in capitals behind ``PLEXSPHERE_``."""

    @property
    def shared_threads(self) -> Threads:
        """The number of threads of each kind of work."""
        return shared_out(
            total=self.threads,
            read=self.pool_size,
            write=self.write_pool_size,
            spicedb=self.spicedb_calls,
        )


class SettingsError(Exception):
    """The environment cannot be served; ``complaints`` has one sentence for each bad setting."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


def declared_settings() -> Mapping[str, tuple[Setting, Any]]:
    """Variable -> its declaration and its default, in the order of the page."""
    return {
        PREFIX + setting.name.upper(): (setting.metadata[DECLARATION], setting.default)
        for setting in fields(Settings)
    }


def set_variables() -> dict[str, str]:
    """The settings that this shell has, as texts."""
    reader = _Reader(os.environ)
    return {name: text for name in declared_settings() if (text := reader.text(name))}


def environment_with(**variables: str) -> dict[str, str]:
    """The environment of a program that a command starts: that of this process, and these."""
    return {**os.environ, **variables}


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable that has our prefix and that nothing of this release reads.

    It refuses no start, because other programs may share the prefix.
    """
    known = [*declared_settings(), *COMMAND_VARIABLES]
    found = os.environ if environ is None else environ
    unknown = sorted(name for name in found if name.startswith(PREFIX) and name not in known)
    return [_unknown(name, known) for name in unknown]


def _unknown(name: str, known: list[str]) -> str:
    similar = get_close_matches(name, known, n=1, cutoff=0.8)
    hint = f": is {similar[0]} meant?" if similar else ""
    return f"{name} is no setting of this release{hint}"


class _Reader:
    """Reads variables and collects what is wrong with them, one sentence a variable at most."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._complaints: dict[str, str] = {}

    def text(self, name: str) -> str:
        """A blank variable is an unset one."""
        return self._environ.get(name, "").strip()

    def value(self, name: str, setting: Setting, default: Any) -> Any:
        text = self.text(name)
        if not text:
            return default
        try:
            return setting.parse(text)
        except ValueError:
            self.complain(name, f"must be {setting.expected}")
            return default

    def require(self, name: str, expected: str) -> None:
        if not self.text(name):
            self.complain(name, f"is not set; it must be {expected}")

    def complain(self, name: str, sentence: str) -> None:
        self._complaints.setdefault(name, f"{name} {sentence}")

    def complaints(self, order: Mapping[str, object]) -> list[str]:
        return [self._complaints[name] for name in order if name in self._complaints]


def read_settings(
    environ: Mapping[str, str] | None = None, ledger_only: bool = False, tokenless: bool = False
) -> Settings:
    """The settings of this process. Raises SettingsError with every complaint at once.

    With ``ledger_only`` nothing is required of what only requests need: SpiceDB and the tokens;
    with ``tokenless`` SpiceDB is required, and the DSN too.
    """
    if environ is None:
        _forget_options_of_libraries()
    reader = _Reader(os.environ if environ is None else environ)
    declared = declared_settings()
    settings = Settings(
        **{
            name.removeprefix(PREFIX).lower(): reader.value(name, setting, default)
            for name, (setting, default) in declared.items()
        }
    )
    for name, dsn in (("DSN", settings.dsn), ("READ_DSN", settings.read_dsn)):
        if dsn and (fault := _dsn_fault(dsn, settings.unverified_postgres)):
            reader.complain(PREFIX + name, fault)
    if (settings.dsn or tokenless) and not ledger_only:
        _check_stores(reader, settings)
    if settings.dsn and not ledger_only and not tokenless:
        _check_tokens(reader, settings)
    _check_signing_key(reader, settings)
    _check_nats(reader, settings)
    _check_telemetry(reader, settings)
    needed = settings.shared_threads.needed
    if needed > settings.threads:
        sizes = ("POOL_SIZE", "WRITE_POOL_SIZE (three times)", "SPICEDB_CALLS")
        places = ", ".join(PREFIX + size for size in sizes)
        reader.complain(
            PREFIX + "THREADS", f"must be at least {needed}, the sum of {places} and {RESERVED}"
        )
    if settings.history and not settings.audit:  # audit rows tell when each body was served
        reader.complain(PREFIX + "HISTORY", f"must be 0 where {PREFIX}AUDIT is 0")
    complaints = reader.complaints(declared)
    if complaints:
        raise SettingsError(complaints)
    return settings


def dsn_complaint(dsn: str) -> str | None:
    """The fault of the DSN of a command, as a sentence that follows its name."""
    return _dsn_fault(dsn, _Reader(os.environ).text(PREFIX + "UNVERIFIED_POSTGRES"))


def _dsn_fault(dsn: str, why_unverified: str) -> str | None:
    fault = dsn_fault(dsn)
    if fault is None and not why_unverified and is_unverified(dsn):
        return (
            "leads outside loopback and must say sslmode=verify-full itself (and sslrootcert=FILE "
            f"for a CA of your own); {PREFIX}UNVERIFIED_POSTGRES takes a reason why not"
        )
    return fault


def _check_stores(reader: _Reader, settings: Settings) -> None:
    """The ledger and the relationships."""
    expected = "a libpq URI or key=value string with a host"
    reader.require(PREFIX + "DSN", expected)
    reader.require(PREFIX + "SPICEDB_ENDPOINT", "host:port")
    reader.require(PREFIX + "SPICEDB_TOKEN", "SpiceDB's preshared key")
    for complaint in check_endpoint(settings.spicedb):
        part, _, expected = complaint.partition(": ")
        reader.complain(f"{PREFIX}SPICEDB_{part.upper()}", f"is malformed: {expected}")


def _check_tokens(reader: _Reader, settings: Settings) -> None:
    """The settings that verify a caller's token."""
    if not settings.signing_key:
        reader.require(PREFIX + "JWKS", "a file with a JWKS or an https URL")
    complaint = check_jwks_setting(settings.jwks) if settings.jwks else None
    if complaint:
        reader.complain(PREFIX + "JWKS", complaint)
    reader.require(PREFIX + "JWT_ISSUER", "the `iss` of accepted tokens")
    reader.require(PREFIX + "JWT_AUDIENCE", "the `aud` of accepted tokens")


def _check_signing_key(reader: _Reader, settings: Settings) -> None:
    """Optional: without it the operations that give out tokens answer 501."""
    key = settings.signing_key
    complaint = check_signing_setting(key, settings.jwks) if key else None
    if complaint:
        reader.complain(PREFIX + "SIGNING_KEY", complaint)


def _check_nats(reader: _Reader, settings: Settings) -> None:
    """Optional: without it there are no events."""
    for name, path in (("CREDENTIALS", settings.nats_credentials), ("CA", settings.nats_ca)):
        if path and not os.access(path, os.R_OK):
            reader.complain(f"{PREFIX}NATS_{name}", "must be a file that can be read")


def _check_telemetry(reader: _Reader, settings: Settings) -> None:
    """Check the optional settings of spans and of the address for operators alone."""
    if settings.otlp_url and not settings.otlp_url.startswith(("http://", "https://")):
        reader.complain(PREFIX + "OTLP_URL", "must be an http or https URL")
    elif settings.otlp_url and not find_spec("opentelemetry"):
        remedy = "pip install 'plexsphere-state[otel]'"
        reader.complain(PREFIX + "OTLP_URL", f"needs packages that are not installed: {remedy}")
    port = settings.internal_bind.rpartition(":")[2]
    if settings.internal_bind.startswith("unix:") or port == settings.bind.rpartition(":")[2]:
        expected = f"host:port, with another port than {PREFIX}BIND"
        reader.complain(PREFIX + "INTERNAL_BIND", f"must be {expected}")


def metrics_directory() -> str | None:
    """The folder in which prometheus-client adds the workers up; None with a single process."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR")


def forget_options_of_gunicorn() -> None:
    """Remove what would win over our settings in a gunicorn that this process becomes."""
    for name in [name for name in os.environ if name.startswith("GUNICORN_")]:
        del os.environ[name]
    for name in ("WEB_CONCURRENCY", "PORT", "SENDFILE", "FORWARDED_ALLOW_IPS"):
        os.environ.pop(name, None)
    # The sockets of systemd, in place of PLEXSPHERE_BIND.
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)


def _forget_options_of_libraries() -> None:
    """Remove what would change a connection behind our settings: the DSN alone describes it.

    Passwords and client certificates may come from other PG* variables. gRPC ends the process at a
    poller that it lacks.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        if name not in PROOFS:
            del os.environ[name]
    os.environ.pop("GRPC_POLL_STRATEGY", None)


def share_metrics(directory: str) -> None:
    """Let the workers that are forked from here on count in one directory."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
