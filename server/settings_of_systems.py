"""Settings: the systems that the service calls, and the tokens that it accepts and gives out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from server.authz.endpoint import SpiceDbEndpoint
from server.events.endpoint import NatsEndpoint
from server.setting_kinds import count, nats_urls, seconds, secret_keys, switch, text


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """The first of the groups of Settings."""

    dsn: str = text(
        "the ledger: Postgres, as a libpq URI or key=value string with a host",
        "empty: every operation on the ledger answers 501",
        is_secret=True,
    )
    unverified_postgres: str = text(
        "why Postgres may be used outside loopback without `sslmode=verify-full` in its DSN, in "
        "words that `doctor` shows",
        "empty: such a DSN is refused",
    )
    read_dsn: str = text(
        "a standby of that ledger, or several: pulls read it where it has all that this host has "
        "answered the Node before",
        "empty: pulls read the primary",
        is_secret=True,
    )
    position_file: str = text(
        "a file in which the host remembers how much of the ledger it has served (mode 0600), so "
        "that an older copy is found after a restart too",
        "empty: remembered while the service runs",
    )
    spicedb_endpoint: str = text("SpiceDB, as host:port", "required with a DSN")
    spicedb_token: str = text(
        "SpiceDB's preshared key", "required with a DSN; never shown", is_secret=True
    )
    spicedb_ca: str = text(
        "a PEM file with the CA that signed SpiceDB's certificate",
        "empty: the roots that gRPC carries",
    )
    spicedb_insecure: bool = switch(False, "no TLS to SpiceDB", "1 is refused outside loopback")
    spicedb_timeout: float = seconds(
        default=1.0,
        low=0.05,
        high=60,
        meaning="the longest time of one call to SpiceDB",
        at_limit="503 `authz_unavailable`",
    )
    spicedb_calls: int = count(
        default=0,
        low=0,
        high=1000,
        unit="calls",
        meaning="calls of each process to SpiceDB at once; 0: a share of the threads",
        at_limit="a request waits until another's call ends; then 503 `authz_unavailable`",
    )
    jwks: str = text(
        "the public keys that verify tokens: a JWKS file or an https URL, followed while the "
        "service runs",
        "empty: the service trusts its own signing key alone; without one, required with a DSN",
    )
    jwt_issuer: str = text(
        "the `iss` of accepted tokens", "required with a DSN; 401 for another `iss`"
    )
    jwt_audience: str = text(
        "the `aud` of accepted tokens", "required with a DSN; 401 for another `aud`"
    )
    jwt_leeway: float = seconds(
        default=30.0,
        low=0,
        high=300,
        meaning="the difference of clocks that `exp`, `nbf` and `iat` may have",
        at_limit="401 `unauthorized`",
    )
    signing_key: str = text(
        "the service's own private JWK, or a set of them: a file, followed while the service "
        "runs, or JSON",
        "empty: the operations that give out tokens answer 501; never shown",
        is_secret=True,
    )
    event_kek: tuple[bytes, ...] = secret_keys(
        "the key that encrypts the private halves of the Domains' event keys in the ledger; a "
        "second one decrypts only",
        "empty: what needs an event key answers 501; never shown",
    )
    nats_url: tuple[str, ...] = nats_urls(
        "NATS with JetStream, over which events go: the servers of one cluster, comma-separated",
        "empty: no events, and `GetNodeEvents` answers 501",
    )
    nats_credentials: str = text(
        "a file: the `.creds` of NATS' own tools, or one line `user:password`; read at every "
        "connection",
        "empty: no authentication",
    )
    nats_ca: str = text(
        "a PEM file with the CA that signed the NATS servers' certificates",
        "empty: the roots of the system",
    )
    # An agent refuses an event that is older than 5 minutes.
    event_window: float = seconds(
        default=240.0,
        low=1,
        high=240,
        meaning="how far back an event stream can be resumed",
        at_limit="the stream begins with `resync_required`, and its agent pulls",
    )
    nats_replicas: int = count(
        default=1,
        low=1,
        high=5,
        unit="servers",
        meaning="servers that store each event, where the stream is made",
        at_limit="a cluster with fewer servers refuses to make the stream",
    )

    @property
    def provisioned(self) -> bool:
        """Whether the operations on the ledger are meant to be live."""
        return bool(self.dsn)

    @property
    def spicedb(self) -> SpiceDbEndpoint:
        """The address of SpiceDB, and its credentials."""
        return SpiceDbEndpoint(
            address=self.spicedb_endpoint,
            preshared_key=self.spicedb_token,
            ca=Path(self.spicedb_ca) if self.spicedb_ca else None,
            insecure=self.spicedb_insecure,
        )

    @property
    def has_events(self) -> bool:
        """Whether events are published and streamed: they need NATS, and a KEK for their keys."""
        return bool(self.nats_url and self.event_kek)

    @property
    def nats(self) -> NatsEndpoint:
        """The addresses of NATS, and the way to log in."""
        return NatsEndpoint(
            urls=self.nats_url,
            credentials=Path(self.nats_credentials) if self.nats_credentials else None,
            ca=Path(self.nats_ca) if self.nats_ca else None,
        )
