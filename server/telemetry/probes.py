"""The probes behind /readyz: one for each thing the pull cannot do without."""

from __future__ import annotations

from composer.deadline import Deadline
from db.health import schema_version
from db.migrate import expected_version
from db.pool import ReadPool
from server.authn.keys import KeySource
from server.authz.admin import SpiceDbReadiness
from server.receipt import WiringReceipt
from server.telemetry.health import DOES_NOT_ANSWER, Degraded, Down, Probe


def wiring_probe(receipt: WiringReceipt) -> Probe:
    """Down while a load-bearing port is missing."""

    def probe(deadline: Deadline) -> None:
        if not receipt.complete:
            raise Down("the reconciliation pull is not provisioned")

    return probe


def ledger_probe(pool: ReadPool) -> Probe:
    """Postgres answers, and its schema is the one this release was written for."""

    def probe(deadline: Deadline) -> None:
        found = schema_version(pool, deadline)
        if found < expected_version():
            raise Down("the schema is older than this release; run plexsphere-state migrate")
        if found > expected_version():
            raise Degraded("the schema is newer than this release")

    return probe


def spicedb_probe(readiness: SpiceDbReadiness) -> Probe:
    """SpiceDB decides."""

    def probe(deadline: Deadline) -> None:
        decides, _ = readiness.describe()
        if not decides:
            raise Down(DOES_NOT_ANSWER)

    return probe


def keys_probe(keys: KeySource, own: KeySource | None = None) -> Probe:
    """There is at least one key to verify tokens with; with ``own`` alone, the Nodes' at least."""

    def probe(deadline: Deadline) -> None:
        usable, _ = keys.describe()
        if usable:
            return
        if own is not None and own.describe()[0]:
            raise Degraded("only tokens of this service's own can be verified")
        raise Down("no usable verification key")

    return probe
