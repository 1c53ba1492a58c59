"""A test build in this process: the production application over fakes, with one breach in it.

A breach edits answers in a wrapper around the application, behind the doorkeeper, so that what the
runtime validation would withhold gets out; or it swaps a part before the application is built.
Production code has no switch for either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from werkzeug.datastructures import Headers
from werkzeug.test import Client, run_wsgi_app
from werkzeug.wrappers import Request

from composer.errors import AuthzUnavailable, CorruptLedger, DatastoreUnavailable
from composer.identity import Principal, PrincipalKind
from composer.snapshot_composer import SnapshotComposer
from handlers import OPERATIONS
from handlers.node_state import PullPorts
from handlers.service import HealthCheck, ServicePorts
from server.app import build_app
from server.audit import HeldAudit
from server.docs_page import docs_page
from server.gauges import Exposition
from server.metrics import Metrics
from server.operations import bind
from server.response_validation import Outgoing, ResponseValidator
from tests import factories as make
from tests.client import Reply, bearer, pull_path
from tests.fakes import (
    FakeAuditSink,
    FakeDropReporter,
    FakeHealthProbe,
    FakeLedger,
    FakeNodeRepo,
    FakeRelationChecker,
)
from tests.fuzz import directed as cases
from tests.fuzz.exchange import CONTRACT, operation_at
from tests.fuzz.world import GHOST, World, snapshot_digest

NODES = 6
EXAMPLE = UUID(CONTRACT.document["components"]["parameters"]["NodeId"]["example"])
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Shown:
    """An answer on its way out, free to be edited; `request` is what it answers."""

    request: Request
    status: int
    headers: Headers
    body: bytes


Edit = Callable[[Shown], None]


class Build:
    """The parts, good ones until a breach swaps them; then the application."""

    def __init__(self) -> None:
        ids = [EXAMPLE, *(make.node_id(number) for number in range(1, NODES))]
        rows = [make.peer_row(number, node_id=one) for number, one in enumerate(ids, 1)]
        self.ids = [str(one) for one in ids]
        self.sink = FakeAuditSink()
        self.relations = FakeRelationChecker(
            {(f"node:{one}", "node-agent", f"node:{one}") for one in (*self.ids, GHOST)}
        )
        self.nodes = FakeNodeRepo({one: make.AddressedNode(one, make.DOMAIN, None) for one in ids})
        self.ledger = FakeLedger.of(
            make.DOMAIN,
            rows,
            rule_sets=(make.rule_set(1, make.ALLOW_HTTPS),),
            bridge_rows=make.bridge_rows(assignments=(make.assignment(2),)),
            entry_rows=(make.entry("metadata", "region"), make.entry("report", "disk")),
        )
        self.health = FakeHealthProbe([HealthCheck("postgres", "ok", "answers")])
        self.authenticate: Callable[[list[str]], Principal | None] = by_token
        self.rewrite: Callable[[dict[str, Any]], None] = lambda environ: None
        self.edit: Edit = lambda shown: None
        # whether the requests of now meet a service without a ledger
        self.bare = False
        # what the runtime validation says of edited answers: the breach's rule, or None
        self.at_runtime: set[str | None] = set()

    def application(self) -> Wsgi:
        """Wired as server/wiring.py does, over the fakes."""
        pull = PullPorts(
            relations=self.relations,
            nodes=self.nodes,
            snapshots=SnapshotComposer(self.ledger, FakeDropReporter()),
            audit=HeldAudit(),
        )
        metrics = Metrics()
        service = ServicePorts(
            health=self.health,
            metrics=Exposition(metrics),
            contract=CONTRACT.raw,
            docs_page=docs_page(CONTRACT),
            version="0.1.0",
            contract_version=CONTRACT.version,
        )
        bound = bind(OPERATIONS, {PullPorts: pull, ServicePorts: service})
        app = build_app(
            CONTRACT, bound, lambda given: self.authenticate(given), metrics, 3.0, self.sink
        )
        return Edited(app, self)

    @contextmanager
    def in_state(self, service: str) -> Iterator[bool]:
        """As a directed case wants it; False where this build has no such state."""
        down = [HealthCheck("postgres", "down", "does not answer")]
        sound = self.health.given
        if service == cases.NO_POSTGRES:
            self.nodes.fails, self.health.given = DatastoreUnavailable("refused"), down
        elif service == cases.NO_SPICEDB:
            self.relations.fails, self.health.given = AuthzUnavailable("refused"), down
        elif service == cases.CORRUPT:
            self.ledger.fails = CorruptLedger("fingerprint_mismatch")
        self.bare = service == cases.UNPROVISIONED
        try:
            yield service != cases.FAULTY
        finally:
            self.bare = False
            self.nodes.fails = self.relations.fails = self.ledger.fails = None
            self.health.given = sound

    def world(self, application: Wsgi) -> World:
        """As the sound application shows it; call before a breach is switched on."""
        tokens = {one: f"agent-{one}" for one in (*self.ids, GHOST)}
        digests, etags = {}, {}
        for one in self.ids:
            reply = ask(application, pull_path(one), bearer(tokens[one]))
            digests[one] = snapshot_digest(reply.json)
            etags[pull_path(one)] = reply.headers["etag"]
        for path in ("/docs/page.js", "/docs/page.css"):
            etags[path] = ask(application, path).headers["etag"]
        return World(tokens, digests, "stranger", domain_ids=[str(make.DOMAIN)], etags=etags)


@cache
def unprovisioned() -> Wsgi:
    """The application without a pull, which no swapped part is in: one for all builds."""
    metrics = Metrics()
    service = ServicePorts(
        health=FakeHealthProbe([HealthCheck("wiring", "down", "not provisioned")]),
        metrics=Exposition(metrics),
        contract=CONTRACT.raw,
        docs_page=docs_page(CONTRACT),
        version="0.1.0",
        contract_version=CONTRACT.version,
    )
    bound = bind(OPERATIONS, {ServicePorts: service})
    app: Wsgi = build_app(CONTRACT, bound, lambda given: None, metrics, 3.0)
    return app


def by_token(given: list[str]) -> Principal | None:
    scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    if scheme != "Bearer":
        return None
    if token == "stranger":
        return Principal(PrincipalKind.USER, "stranger")
    known = token.startswith("agent-")
    return Principal(PrincipalKind.NODE, token.removeprefix("agent-")) if known else None


@dataclass(frozen=True)
class Edited:
    """The application with every answer edited on its way out, behind all that looks at it."""

    application: Any
    build: Build

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        self.build.rewrite(environ)
        application = unprovisioned() if self.build.bare else self.application
        chunks, status, headers = run_wsgi_app(application, environ, buffered=True)
        body = b"".join(chunks)
        shown = Shown(Request(environ), int(status.split()[0]), headers.copy(), body)
        self.build.edit(shown)
        if (shown.status, shown.headers, shown.body) != (int(status.split()[0]), headers, body):
            self.build.at_runtime.add(_at_runtime(shown))
        if shown.request.method != "HEAD" and "Content-Length" in shown.headers:
            shown.headers["Content-Length"] = str(len(shown.body))
        start_response(f"{shown.status} Edited", shown.headers.to_wsgi_list())
        return [shown.body]


VALIDATOR = ResponseValidator(CONTRACT)


def _at_runtime(shown: Shown) -> str | None:
    """The part for which production would have withheld this answer, had the service made it."""
    if shown.request.method == "HEAD":  # its body goes where nobody looks any more
        return None
    operation = operation_at(shown.request.path) if shown.request.method == "GET" else None
    media_type = shown.headers.get("Content-Type", "").partition(";")[0]
    breach = VALIDATOR.breach(
        Outgoing(
            operation_id=None if operation is None else operation.operation_id,
            status=shown.status,
            media_type=media_type or None,
            headers={name.lower(): value for name, value in shown.headers.items()},
            body=shown.body,
        )
    )
    return None if breach is None else breach.part


def ask(
    application: Wsgi,
    path: str,
    headers: Any = (),
    method: str = "GET",
    body: bytes | None = None,
) -> Reply:
    """As tests.client.ask, without a socket."""
    response = Client(application).open(path, method=method, headers=dict(headers), data=body)
    received = {name.lower(): value for name, value in response.headers.items()}
    return Reply(response.status_code, received, response.get_data())
