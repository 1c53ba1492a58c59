"""Connects adapters to ports. ``wire(settings)`` is the only way to make a running service.

It sends nothing to Postgres, SpiceDB or the JWKS, so the service starts also while they are down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import flask

from handlers import OPERATIONS
from handlers.ports import Ports
from handlers.service import NoPublishedKeys, ServicePorts
from server.adapters import Adapters, connect
from server.authn.signing import own_keys
from server.contract.document import Contract
from server.http.app import build_app
from server.http.docs_page import docs_page
from server.http.operations import BoundOperations
from server.receipt import WiringReceipt, wiring_receipt
from server.release import built_from
from server.settings import Settings
from server.telemetry.access import write_access_lines
from server.telemetry.metrics import Exposition, Metrics, ReadLanes
from server.telemetry.probes import DependencyProbes, release_probe, wiring_probe
from server.telemetry.recorders import warning_logger

if TYPE_CHECKING:
    from server.telemetry.spans import Spans

DISTRIBUTION = "plexsphere-state"


@dataclass(frozen=True, slots=True)
class Service:
    """A wired service. ``start`` is called once, in the process that serves. ``close`` writes what
    is queued and closes all connections.

    ``count_overloaded`` is called with the lane of each request that the worker answers in its
    place; ``watch`` gets a function that reads the worker's lanes.
    """

    app: flask.Flask
    receipt: WiringReceipt
    start: Callable[[], None]
    close: Callable[[], None]
    count_overloaded: Callable[[str], None]
    watch: Callable[[ReadLanes], None]


def wire(settings: Settings, contract: Contract | None = None) -> Service:
    """Build the service from checked settings and the checked contract (``server.start``)."""
    contract = contract or Contract.packaged()
    metrics = Metrics()
    signing_keys = own_keys(settings.signing_key, on_warning=warning_logger("signing_key"))
    if signing_keys is not None:
        signing_keys.current()  # read now, while it is what was checked at the start
    adapters = (
        connect(settings, contract=contract, metrics=metrics, signing_keys=signing_keys)
        if settings.provisioned
        else Adapters.absent()
    )
    receipt = wiring_receipt(
        adapters.ledger,
        OPERATIONS,
        audit=adapters.audit,
        history=adapters.history,
        test_clock=settings.test_clock,
    )
    service = ServicePorts(
        health=DependencyProbes(
            {"release": release_probe(), "wiring": wiring_probe(receipt), **adapters.probes}
        ),
        metrics=Exposition(metrics, adapters.lag),
        contract=contract.raw,
        contract_document=contract.document,
        docs_page=docs_page(contract),
        version=version(DISTRIBUTION),
        contract_version=contract.version,
        commit=settings.commit or built_from("commit"),
        date=settings.commit_date or built_from("date"),
        keys=signing_keys or NoPublishedKeys(),
    )
    app = build_app(
        contract,
        BoundOperations(
            operations=OPERATIONS,
            ports=Ports(service, adapters.ledger),
            authenticate=adapters.authenticate,
            path_prefix=settings.path_prefix,
        ),
        metrics=metrics,
        deadline_s=settings.pull_deadline,
        audit=adapters.audit,
        large_body_bytes=settings.body_warning_bytes,
        history=adapters.history,
        answer_deadline_s=settings.answer_deadline,
        pulls=adapters.pulls,
        internal_port=settings.internal_bind.rpartition(":")[2],
    )

    spans = _spans(settings)
    if settings.access_log:
        metrics.takers.append(write_access_lines)
    if spans is not None:
        metrics.takers.append(spans.take)

    def start() -> None:
        adapters.start()
        metrics.answered.start()

    def close() -> None:
        metrics.answered.close()
        if spans is not None:
            spans.close()
        adapters.close()

    return Service(
        app=app,
        receipt=receipt,
        start=start,
        close=close,
        count_overloaded=lambda lane: metrics.overloaded.labels(lane).inc(),
        watch=lambda lanes: metrics.levels.append(lambda: metrics.of_lanes(lanes())),
    )


def _spans(settings: Settings) -> Spans | None:
    """The spans; None without a collector. Its packages are imported only where there is one."""
    if not settings.otlp_url:
        return None
    from server.telemetry.spans import Spans, exported_to

    return Spans(exported_to(settings.otlp_url))
