"""The checks of ``doctor``: everything that a pull needs, each with its remedy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from uuid import UUID

from composer.deadline import Deadline
from composer.errors import AuthzUnavailable, ComposerError, EventStreamUnavailable
from composer.reachability import PAUSE_AFTER
from db.connections import ReadSession, SingleConnection, command_connections
from db.dsn import is_unverified
from db.event_keys import PostgresEventKeys
from db.events import EventLag
from db.fleet import ipv6_nodes
from db.health import (
    LastComparison,
    clock_skew,
    encoding,
    read_lag,
    read_readiness,
    schema_version,
)
from db.migrate import expected_version
from db.outbox import OutboxLag
from db.positions import Positions, server_in
from server.authn.key_sources import key_source
from server.authn.signing import own_keys
from server.authz.admin import SpiceDbAdmin, missing_from
from server.authz.channel import SpiceDbChannel
from server.cli import contact
from server.cli.addresses import bound_url
from server.cli.capacity import capacity_checks, unusable_postgres
from server.cli.check import Check
from server.cli.failures import Failure, innermost
from server.cli.formats import counted
from server.cli.service import ServiceAccess, get, without_credentials
from server.events.endpoint import NatsEndpoint
from server.events.keys import EncryptedEventKeys
from server.settings import Settings, SettingsError, read_settings, unknown_variables
from server.workers.relay import LATE_SECONDS

CHECK_SECONDS = 3.0
# Less than the 30 s of leeway in a token's times, and than the 60 s of silence that make a Node
# stale: a difference of this size is a fault, and has no effect yet.
MAX_SKEW_SECONDS = 5.0
DOMAINS_OF_KEYS = 1000
REMEDY_OF_NATS = (
    "check PLEXSPHERE_NATS_URL, _CREDENTIALS and _CA, and that NATS with JetStream runs there; "
    "pulls do not need it"
)
REMEDY_OF_JWKS = "put a JWKS with an EdDSA, ES256 or RS256 key at PLEXSPHERE_JWKS"
REMEDY_OF_SERVICE = "start it (`plexsphere-state serve`), or name it with --url"


def all_checks(
    read: Callable[[], Settings] = read_settings, service_url: str = ""
) -> Iterator[Check]:
    """Every check in order; where the settings are bad, nothing else can be checked."""
    try:
        settings = read()
    except SettingsError as error:
        for complaint in error.complaints:
            yield Check(
                name="settings",
                ok=False,
                detail=complaint,
                remedy=_setting_remedy(complaint),
            )
        return
    if not settings.provisioned:
        yield Check(
            name="settings",
            ok=False,
            detail="PLEXSPHERE_DSN is not set, so every pull is answered 501",
            remedy="set PLEXSPHERE_DSN (`. .dev/env` beside `make run`), then run doctor again",
        )
        return
    yield Check("settings", True, "complete and well-formed")
    if is_unverified(settings.dsn):
        reason = settings.unverified_postgres
        yield Check("settings", True, f"Postgres is used without verified TLS: {reason}")
    for sentence in unknown_variables():
        yield Check(
            name="settings",
            ok=False,
            detail=sentence,
            remedy="see `plexsphere-state settings`, and unset it",
        )
    first = contact.side_by_side(
        {
            "postgres": lambda: ledger_version(settings),
            "spicedb": lambda: spicedb_schema(settings),
            **({"nats": lambda: nats_check(settings.nats)} if settings.nats_url else {}),
            "jwks": lambda: keys_check(settings),
            "service": lambda: service_check(settings, service_url),
        },
        contact.SECONDS,
    )
    ledger = list(ledger_checks(settings, first["postgres"]))
    yield from ledger
    nodes = _some_nodes(settings) if ledger[0].ok else ()
    yield from spicedb_checks(settings, first["spicedb"], nodes)
    if settings.nats_url:
        yield answered("nats", first["nats"], REMEDY_OF_NATS)
    if settings.nats_url and not settings.event_kek:
        yield Check(
            name="event keys",
            ok=False,
            detail="no KEK",
            remedy="set PLEXSPHERE_EVENT_KEK; streams are 501",
        )
    if ledger[0].ok:
        yield from lag_checks(settings)
    if ledger[0].ok and ledger[1].ok:
        yield from capacity_checks(settings)
    yield answered("jwks", first["jwks"], REMEDY_OF_JWKS)
    yield answered("service", first["service"], REMEDY_OF_SERVICE)


def answered(name: str, answer: Check | Exception, remedy: str) -> Check:
    """The check that was made, or a bad one where it did not end in time."""
    if isinstance(answer, TimeoutError):
        return Check(name=name, ok=False, detail=str(answer), remedy=remedy)
    if isinstance(answer, Exception):
        raise answer
    return answer


def _setting_remedy(complaint: str) -> str:
    if " is not set" in complaint:
        return "use the variables of the file that `plexsphere-state init` writes, or set this one"
    return "set the variable, then run doctor again"


def _some_nodes(settings: Settings) -> tuple[UUID, ...]:
    """Nodes of the ledger; none where it cannot say."""
    try:
        return read_readiness(doctor_connection(settings), _deadline()).nodes
    except ComposerError:
        return ()


def doctor_connection(settings: Settings) -> SingleConnection[ReadSession]:
    """Each check opens it and closes it again."""
    return SingleConnection(
        settings.dsn,
        ReadSession,
        application_name="plexsphere-state doctor",
        parameters={"statement_timeout": str(round(CHECK_SECONDS * 1000))},
        keep=False,
    )


def ledger_version(settings: Settings) -> int:
    """The version of the ledger's schema: the first that Postgres is asked for."""
    return schema_version(doctor_connection(settings), _deadline())


def ledger_checks(settings: Settings, found: int | Exception) -> Iterator[Check]:
    """Postgres answers, has the schema of this release, and agrees with our clock.

    ``found`` is what ``ledger_version`` returned or raised.
    """
    if isinstance(found, (ComposerError, TimeoutError)):
        yield unusable_postgres(settings, innermost(found))
        return
    if isinstance(found, Exception):
        raise found
    connection = doctor_connection(settings)
    reason = settings.unverified_postgres if is_unverified(settings.dsn) else ""
    yield Check(
        "postgres", True, f"answers, without verified TLS: {reason}" if reason else "answers"
    )
    yield _encoding_check(connection) if found == 0 else schema_check(found, expected_version())
    if settings.position_file:
        yield position_check(settings, connection)
    try:
        skew = clock_skew(connection, _deadline(), time.time)
    except ComposerError as error:
        yield Check(
            name="clock",
            ok=False,
            detail=innermost(error),
            remedy="Postgres stopped answering: run doctor again",
        )
        return
    yield clock_check(skew, settings.jwt_leeway)


def _encoding_check(connection: SingleConnection[ReadSession]) -> Check:
    """Nothing is migrated yet: a database of another encoding must be made anew before it."""
    try:
        return blank_check(encoding(connection, _deadline()))
    except ComposerError as error:
        remedy = "Postgres stopped answering: run doctor again"
        return Check(name="ledger schema", ok=False, detail=innermost(error), remedy=remedy)


def blank_check(found: str) -> Check:
    """The database was never migrated, and has the encoding ``found``."""
    if found == "UTF8":
        return schema_check(0, expected_version())
    detail = f"the database's encoding is {found}, and must be UTF8"
    remedy = "create the database anew: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
    return Check(name="ledger schema", ok=False, detail=detail, remedy=remedy)


def schema_check(found: int, expected: int) -> Check:
    """The version of the ledger's schema is that of this release."""
    if found < expected:
        detail = f"at version {found}, and this release needs {expected}"
        return Check(
            name="ledger schema", ok=False, detail=detail, remedy="run `plexsphere-state migrate`"
        )
    if found > expected:
        detail = f"at version {found}, newer than the {expected} of this release"
        return Check(
            name="ledger schema", ok=False, detail=detail, remedy="run the release that migrated it"
        )
    return Check("ledger schema", True, f"at version {found}")


def position_check(settings: Settings, connection: SingleConnection[ReadSession]) -> Check:
    """The ledger has all that this host has served of it."""
    try:
        positions = Positions.of_service(settings.position_file)
        with connection.session(_deadline()) as session:
            _, fault = positions.compared(lambda: server_in(session))
    except (ComposerError, OSError) as error:
        return Check(
            name="position",
            ok=False,
            detail=str(error),
            remedy="check PLEXSPHERE_POSITION_FILE and Postgres",
        )
    if fault is None:
        return Check("position", True, "the ledger has all that this host has served of it")
    remedy = (
        "let PLEXSPHERE_DSN lead to the ledger; if this one is restored on purpose, run "
        "`plexsphere-state accept-ledger` on every host"
    )
    return Check(name="position", ok=False, detail=fault, remedy=remedy)


def clock_check(skew: float, leeway: float) -> Check:
    """The clocks of Postgres and this machine agree; Postgres is ``skew`` seconds ahead.

    ``leeway`` is that of the times of a token.
    """
    direction = "ahead of" if skew > 0 else "behind"
    detail = f"Postgres is {abs(skew):.3f} s {direction} this machine"
    if abs(skew) <= MAX_SKEW_SECONDS:
        return Check("clock", True, detail)
    if abs(skew) > leeway:
        detail += f", more than PLEXSPHERE_JWT_LEEWAY ({leeway:g} s): tokens are refused (401)"
    return Check(
        name="clock", ok=False, detail=detail, remedy="have both follow a time server (NTP)"
    )


def spicedb_schema(settings: Settings) -> str | None:
    """SpiceDB's schema, if it has one: the first that SpiceDB is asked for."""
    with closing(SpiceDbChannel(settings.spicedb, timeout=CHECK_SECONDS)) as channel:
        return SpiceDbAdmin(channel).read_schema(_deadline())


def spicedb_checks(
    settings: Settings, found: str | Exception | None, nodes: Sequence[UUID] = ()
) -> Iterator[Check]:
    """SpiceDB answers, has all of our schema, and knows any of ``nodes``, which the ledger has.

    ``found`` is what ``spicedb_schema`` returned or raised.
    """
    if isinstance(found, (AuthzUnavailable, TimeoutError)):
        remedy = "check PLEXSPHERE_SPICEDB_ENDPOINT, _TOKEN and _CA, and that SpiceDB runs there"
        yield Check(name="spicedb", ok=False, detail=str(found), remedy=remedy)
        return
    if isinstance(found, Exception):
        raise found
    yield Check("spicedb", True, "answers")
    with closing(SpiceDbChannel(settings.spicedb, timeout=CHECK_SECONDS)) as channel:
        yield spicedb_schema_check(found, SpiceDbAdmin(channel), nodes)


def nats_check(endpoint: NatsEndpoint) -> Check:
    """NATS answers with JetStream. A stream that does not exist yet is made by the relay."""
    from server.events.nats import NatsConnection, found_stream

    troubles = [""]
    with closing(NatsConnection(endpoint, "plexsphere-state doctor", troubles.append)) as nats:
        try:
            # Over before the first contact is, because the client's own words say more.
            info = nats.call(found_stream, 0.9 * contact.SECONDS)
        except EventStreamUnavailable as error:
            return Check(
                name="nats", ok=False, detail=troubles[-1] or str(error), remedy=REMEDY_OF_NATS
            )
    if info is None:
        return Check("nats", True, "answers; the relay makes the stream")
    replicas = info.config.num_replicas or 1
    detail = (
        f"{counted(info.state.messages, 'event')} in the stream, on {counted(replicas, 'server')}"
    )
    return Check("nats", True, detail)


def lag_checks(settings: Settings) -> Iterator[Check]:
    """SpiceDB follows the ledger, and an evaluator sweeps; no check where Postgres is away."""
    connection = doctor_connection(settings)
    try:
        lag = read_lag(connection, _deadline())
    except ComposerError:
        return
    yield outbox_check(lag.outbox)
    yield evaluator_check(lag.sweep_age)
    yield relationships_check(lag.comparison)
    yield from agents_check(connection)
    if settings.nats_url:
        yield events_check(lag.events)
    if settings.event_kek:
        yield event_keys_check(settings)


def event_keys_check(settings: Settings) -> Check:
    """The event keys of a page of Domains decrypt."""
    source = EncryptedEventKeys(*settings.event_kek)
    try:
        with command_connections(settings.dsn, "plexsphere-state doctor") as (reads, writes):
            keys = PostgresEventKeys(reads, writes, source)
            domains = keys.domains(UUID(int=0), DOMAINS_OF_KEYS, _deadline())
            for domain_id, stored in keys.stored(domains, _deadline()).items():
                for key in stored:
                    source.signer(domain_id, key)
    except ComposerError as error:
        remedy = "set PLEXSPHERE_EVENT_KEK to the value that encrypted it; streams are 503"
        return Check(name="event keys", ok=False, detail=str(error), remedy=remedy)
    return Check("event keys", True, f"those of {counted(len(domains), 'Domain')} decrypt")


def agents_check(connection: SingleConnection[ReadSession]) -> Iterator[Check]:
    """A hint, and never bad; none where the ledger is too large to be examined in time."""
    try:
        hint = ipv6_nodes(connection, None, _deadline()).hint
    except ComposerError:
        return
    yield Check("agents", True, hint or "no Node has a rule or a peer of IPv6")


def outbox_check(lag: OutboxLag) -> Check:
    """Rows wait for milliseconds where a relay runs, and none is parked."""
    detail = f"{lag.waiting} waiting, the oldest for {lag.seconds:.1f} s; {lag.parked} parked"
    if lag.parked:
        remedy = "run `plexsphere-state authz repair`, and look for outbox_row_parked in the log"
        return Check(name="outbox", ok=False, detail=detail, remedy=remedy)
    if lag.seconds > LATE_SECONDS:
        return Check(
            name="outbox", ok=False, detail=detail, remedy="start `plexsphere-state relay`"
        )
    return Check("outbox", True, detail if lag.waiting else "SpiceDB has every row")


def events_check(lag: EventLag) -> Check:
    """Events wait for milliseconds where a relay runs and NATS answers it."""
    if lag.seconds > LATE_SECONDS:
        detail = f"{lag.waiting} waiting, the oldest for {lag.seconds:.1f} s"
        remedy = "start `plexsphere-state relay`, or look for relay_cannot_publish in its log"
        return Check(name="events", ok=False, detail=detail, remedy=remedy)
    return Check("events", True, f"{lag.waiting} waiting" if lag.waiting else "all in the stream")


def relationships_check(comparison: LastComparison) -> Check:
    """The last comparison of SpiceDB with the ledger found no difference."""
    if comparison.age is None:
        return Check("relationships", True, "no relay has compared SpiceDB with the ledger yet")
    detail = (
        f"compared {comparison.age:.0f} s ago: {comparison.differences} differed; "
        f"{comparison.mended} repaired so far"
    )
    if comparison.differences:
        remedy = (
            "look for authz_differs in the relay's log, and run `plexsphere-state authz verify`"
        )
        return Check(name="relationships", ok=False, detail=detail, remedy=remedy)
    return Check("relationships", True, detail)


def evaluator_check(swept: float | None) -> Check:
    """The last sweep was ``swept`` seconds ago: less than a pause (None: never)."""
    remedy = "start `plexsphere-state evaluator`: until then no Node changes state"
    if swept is None:
        return Check(
            name="evaluator", ok=False, detail="no evaluator has ever swept", remedy=remedy
        )
    detail = f"swept {swept:.1f} s ago"
    if swept > PAUSE_AFTER.total_seconds():
        return Check(name="evaluator", ok=False, detail=detail, remedy=remedy)
    return Check("evaluator", True, detail)


def spicedb_schema_check(text: str | None, admin: SpiceDbAdmin, nodes: Sequence[UUID]) -> Check:
    """SpiceDB has all of our schema (``text`` is its own), and knows any of the ledger's Nodes."""
    remedy = "run `plexsphere-state authz schema`"
    if text is None:
        return Check(name="spicedb schema", ok=False, detail="it has none", remedy=remedy)
    missing = missing_from(text)
    if missing:
        return Check(
            name="spicedb schema", ok=False, detail=f"lacks {'; '.join(missing)}", remedy=remedy
        )
    try:
        is_filled = admin.knows_any(nodes, _deadline())
    except AuthzUnavailable as error:
        return Check(
            name="spicedb schema", ok=False, detail=str(error), remedy="read SpiceDB's log"
        )
    if not is_filled:
        detail = "is ours, and SpiceDB knows none of the ledger's Nodes"
        remedy = "run `plexsphere-state authz repair`"
        return Check(name="spicedb schema", ok=False, detail=detail, remedy=remedy)
    return Check("spicedb schema", True, "is ours, and checks are answered")


def keys_check(settings: Settings) -> Check:
    """Whether a key verifies tokens: a key of the JWKS, or without one the service's own."""
    source = key_source(settings.jwks) if settings.jwks else own_keys(settings.signing_key)
    assert source is not None, "the settings require one of them"
    usable, detail = source.describe()
    return Check(name="jwks", ok=usable, detail=detail, remedy="" if usable else REMEDY_OF_JWKS)


def service_check(settings: Settings, url: str) -> Check:
    """The running service: at ``url``, or where the settings say that it listens."""
    url = url or bound_url(settings.bind)
    if not url:
        return Check("service", True, f"not asked at {settings.bind}: give --url, and it is")
    shown = without_credentials(url)
    try:
        answer = get(ServiceAccess(url, "", CHECK_SECONDS), "/readyz")
        found = {check["name"]: check["status"] for check in answer.json()["checks"]}
    except Failure as failure:
        detail = failure.sentence.partition(": ")[0]
        return Check(name="service", ok=False, detail=detail, remedy=REMEDY_OF_SERVICE)
    except (ValueError, KeyError, TypeError):
        remedy = "name the service itself with --url: a proxy may refuse /readyz"
        return Check(
            name="service",
            ok=False,
            detail=f"{shown} answers /readyz as no service of ours",
            remedy=remedy,
        )
    others = ", ".join(f"{name} is {status}" for name, status in found.items() if status != "ok")
    if answer.ok:
        return Check("service", True, f"{shown} is ready{f'; {others}' if others else ''}")
    remedy = "correct what is bad above; the service's log says more"
    return Check(name="service", ok=False, detail=f"{shown} is not ready: {others}", remedy=remedy)


def _deadline() -> Deadline:
    return Deadline.after(CHECK_SECONDS, time.monotonic)
