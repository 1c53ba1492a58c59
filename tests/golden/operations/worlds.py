"""The worlds in which an operation is asked: a part is away, revoked, gone or corrupt."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace

from composer.errors import (
    AuthzUnavailable,
    ComposerError,
    CorruptLedger,
    DatastoreUnavailable,
    DomainNotFound,
    EventStreamUnavailable,
    KeysUnavailable,
    LedgerBehind,
    NodeNotFound,
    RateLimited,
    SigningUnavailable,
)
from composer.identity import PLATFORM
from composer.reachability import ReachabilityRow
from tests.factories import ALLOW_HTTPS, DOMAIN, EPOCH, addressed, node_id, peer_row, rule_set
from tests.golden.operations.callers import (
    AGENT,
    EARLY_MANAGER,
    EVERY_CALLER,
    GRANTED,
    MANAGER,
    NOBODY,
    STRANGER,
    Caller,
)
from tests.golden.operations.service import (
    DOMAIN_TOKEN,
    NODE_TOKEN,
    UNPROVISIONED,
    UNSIGNED,
    WHOLE,
    WITHOUT_EVENT_KEYS,
)
from tests.ports.in_process import FakeService

SOUND = "sound"
Arrange = Callable[[FakeService], None]
# The ports behind gate 3 that stand on Postgres.
LEDGER_PORTS = (
    "domain_reader",
    "domain_audit",
    "ledger",
    "heartbeats",
    "reachability",
    "entries",
    "domain_nodes",
    "domain_registry",
    "node_registry",
    "credentials",
    "bootstrap_tokens",
    "event_keys",
)


def _nothing(service: FakeService) -> None:
    del service


@dataclass(frozen=True, slots=True)
class World:
    """A world by name: ``arrange`` makes it from a sound one.

    ``callers`` ask in it; ``every_variant`` says whether all variants of an operation are asked, or
    only those that are marked ``everywhere``. ``service`` is what the service stands on.
    """

    name: str
    arrange: Arrange = _nothing
    callers: tuple[Caller, ...] = GRANTED
    every_variant: bool = False
    service: str = WHOLE


def _limited(service: FakeService) -> None:
    # copy() of an exception has its message only
    service.limits.fails = RateLimited("too often", 6.2)


def _fails(error: Exception, *ports: str) -> Arrange:
    def arrange(service: FakeService) -> None:
        for name in ports:
            # a copy: an exception that is raised again keeps the frames of all times before
            getattr(service, name).fails = copy(error)

    return arrange


def _untokened(service: FakeService) -> None:
    service.nodes.nodes = {node_id(n): addressed(n) for n in (1, 2, 3)}
    service.domains.domains = {
        DOMAIN: replace(service.domains.domains[DOMAIN], authz_token=None),
    }
    service.heartbeats.tokens = {}


def _revoked_at(token: str) -> Arrange:
    def arrange(service: FakeService) -> None:
        service.relations.revoked_at = {token}

    return arrange


def _managers_revoked(service: FakeService) -> None:
    """This process still remembers a yes, and no row has a token to ask again at."""
    _untokened(service)
    managers = (MANAGER, EARLY_MANAGER)
    service.relations.revoked_at_least = {
        (manager.subject, "manage", PLATFORM) for manager in managers
    }


def _fresh_questions_fail(error: Exception) -> Arrange:
    def arrange(service: FakeService) -> None:
        service.relations.fails_at_least = copy(error)

    return arrange


def _domain_goes_after_the_node_is_read(service: FakeService) -> None:
    service.domains.domains = {}


def _corrupt_rows(service: FakeService) -> None:
    broken = replace(rule_set(1, ALLOW_HTTPS), fingerprint=b"\0" * 32)
    service.ledger.shown = replace(service.ledger.shown, rule_sets=(broken,))
    service.reachability.rows = {node_id(1): ReachabilityRow("lively", EPOCH, EPOCH)}
    ports = (port for port in LEDGER_PORTS if port not in ("ledger", "reachability"))
    _fails(CorruptLedger("an odd row"), *ports)(service)


def _corrupt_peer(service: FakeService) -> None:
    table = service.ledger.shown.table
    rows = (peer_row(1), peer_row(2, public_key=b"short"), peer_row(3, mesh_ip="nowhere"))
    service.ledger.shown = replace(service.ledger.shown, table=replace(table, rows=rows))


def _everything_away(service: FakeService) -> None:
    _fails(AuthzUnavailable("away"), "relations", "outbox")(service)
    _fails(DatastoreUnavailable("away"), "nodes", "domains", *LEDGER_PORTS)(service)
    _fails(SigningUnavailable("away"), "mint")(service)
    _fails(EventStreamUnavailable("away"), "events")(service)


_AWAY = DatastoreUnavailable("Postgres is away")
_DEFECT = RuntimeError("a defect")

WORLDS: tuple[World, ...] = (
    World(SOUND, callers=EVERY_CALLER, every_variant=True),
    World("no tokens on rows", _untokened, EVERY_CALLER),
    World("revoked at the Node's token", _revoked_at(NODE_TOKEN), EVERY_CALLER),
    World("revoked at the Domain's token", _revoked_at(DOMAIN_TOKEN), EVERY_CALLER),
    World("the managers' role revoked, no tokens on rows", _managers_revoked, EVERY_CALLER),
    World("SpiceDB away", _fails(AuthzUnavailable("away"), "relations"), EVERY_CALLER),
    World(
        "SpiceDB away for fresh questions",
        _fresh_questions_fail(AuthzUnavailable("away")),
        EVERY_CALLER,
    ),
    World("SpiceDB answers fresh questions oddly", _fresh_questions_fail(ComposerError("odd"))),
    World("SpiceDB answers oddly", _fails(ComposerError("odd"), "relations")),
    World("a defect in the relation checker", _fails(_DEFECT, "relations")),
    *(
        World(f"Postgres away at {port}", _fails(_AWAY, port), (*GRANTED, STRANGER))
        for port in ("nodes", "domains")
    ),
    *(World(f"Postgres away at {port}", _fails(_AWAY, port)) for port in LEDGER_PORTS),
    World("a corrupt row at gate 3", _fails(CorruptLedger("odd"), "nodes", "domains")),
    World("a defect in the look-ups of gate 3", _fails(_DEFECT, "nodes", "domains")),
    World("corrupt rows behind the gates", _corrupt_rows),
    World("corrupt peers", _corrupt_peer),
    World("odd answers behind the gates", _fails(ComposerError("odd"), *LEDGER_PORTS)),
    World("defects behind the gates", _fails(_DEFECT, *LEDGER_PORTS, "outbox", "mint", "events")),
    World("the Node goes after gate 3", _fails(NodeNotFound("gone"), *LEDGER_PORTS)),
    World("the Domain goes after gate 3", _fails(DomainNotFound("gone"), *LEDGER_PORTS)),
    World("the Domain is not there", _domain_goes_after_the_node_is_read, EVERY_CALLER),
    World("outbox: SpiceDB away", _fails(AuthzUnavailable("away"), "outbox")),
    World("outbox: Postgres away", _fails(_AWAY, "outbox")),
    World("the event bus is away", _fails(EventStreamUnavailable("away"), "events")),
    World("the signing key cannot be read", _fails(SigningUnavailable("gone"), "mint")),
    World("the audit sink fails", _fails(_DEFECT, "audit"), (*GRANTED, STRANGER)),
    World("no key can be had", _fails(KeysUnavailable("away"), "keys"), (AGENT, NOBODY)),
    World("a limit is reached", _limited, (*GRANTED, STRANGER)),
    World(
        "an older copy of the ledger",
        _fails(LedgerBehind("older"), "nodes", "domains", *LEDGER_PORTS),
    ),
    World("everything away", _everything_away, (AGENT, MANAGER), every_variant=True),
    World(WITHOUT_EVENT_KEYS, service=WITHOUT_EVENT_KEYS),
    World("without a signing key", callers=EVERY_CALLER, service=UNSIGNED),
    World("not provisioned", callers=(NOBODY, AGENT), every_variant=True, service=UNPROVISIONED),
)
