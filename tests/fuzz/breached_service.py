"""The production application in this process, put together once, in front of whichever build.

A breach edits answers in a wrapper around it, behind the doorkeeper, so that what the runtime
validation would withhold gets out; or it swaps a part behind it. Production code has no switch for
either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.test import Client, run_wsgi_app
from werkzeug.wrappers import Request

from composer.snapshot_composer import SnapshotComposer
from handlers import OPERATIONS
from handlers.ports import Ports
from handlers.service import HealthCheck, ServicePorts
from server.http.app import build_app
from server.http.docs_page import docs_page
from server.http.operations import BoundOperations
from server.http.request_audit import RequestAudit
from server.http.response_validation import Outgoing, ResponseValidator
from server.telemetry.metrics import Exposition, Metrics
from tests.client import Reply
from tests.fakes import FakeDropReporter, FakeHealthProbe
from tests.fuzz.exchange import CONTRACT, operation_at
from tests.ports.wired import ledger_ports

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass
class Shown:
    """An answer on its way out, free to be edited; `request` is what it answers."""

    request: Request
    status: int
    headers: Headers
    body: bytes


Edit = Callable[[Shown], None]


class Stage:
    """The build that the application has behind it; its attributes are parts of whichever it is."""

    build: Any = None

    def __getattr__(self, name: str) -> Any:
        return Late(self, name)


@dataclass(frozen=True)
class Late:
    """A port that is asked for anew at every call."""

    stage: Stage
    name: str

    def __getattr__(self, attribute: str) -> Any:
        return getattr(getattr(self.stage.build, self.name), attribute)


STAGE = Stage()


@cache
def provisioned() -> Wsgi:
    """Wired as server/wiring.py does; putting it together takes longer than asking it it all."""
    held, metrics = RequestAudit(), Metrics()
    snapshots = SnapshotComposer(STAGE.ledger, FakeDropReporter())
    ledger = ledger_ports(STAGE, snapshots=snapshots, audit=held)
    ports = Ports(_service(STAGE.health, metrics), ledger)
    app: Wsgi = build_app(
        CONTRACT,
        BoundOperations(
            OPERATIONS, ports, lambda headers, deadline: STAGE.build.authenticate(headers)
        ),
        metrics=metrics,
        deadline_s=3.0,
        large_body_bytes=2**30,
        audit=STAGE.sink,
    )
    return app


@cache
def unprovisioned() -> Wsgi:
    """The application without a pull, which no swapped part is in."""
    metrics = Metrics()
    health = FakeHealthProbe([HealthCheck("wiring", "down", "not provisioned")])
    ports = Ports(_service(health, metrics))
    bound = BoundOperations(OPERATIONS, ports, lambda headers, deadline: None)
    app: Wsgi = build_app(CONTRACT, bound, metrics, 3.0, large_body_bytes=2**30)
    return app


def _service(health: Any, metrics: Metrics) -> ServicePorts:
    return ServicePorts(
        health=health,
        metrics=Exposition(metrics),
        contract=CONTRACT.raw,
        contract_document=CONTRACT.document,
        docs_page=docs_page(CONTRACT),
        version="0.1.0",
        contract_version=CONTRACT.version,
        commit="unknown",
        date="unknown",
    )


@dataclass(frozen=True)
class Edited:
    """The application with every answer edited on its way out, behind all that looks at it."""

    application: Any
    build: Any

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        STAGE.build = self.build
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
    found = operation_at(shown.request.path, shown.request.method)
    operation = found if found and found.method == shown.request.method else None
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
