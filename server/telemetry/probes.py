"""/readyz and /v1/health: one probe for each dependency of the pull.

The details are fixed texts that strangers may read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import structlog

from composer.deadline import Deadline
from composer.errors import ComposerError, DatastoreUnavailable, LedgerBehind
from db.connections import ReadSession, Sessions
from db.errors import is_fault_of_pooler
from db.health import read_readiness
from db.migrate import expected_version
from handlers.service import HealthCheck
from server.authn.keys import KeySource
from server.authz.admin import SpiceDbAdmin
from server.flags import NOT_RELOADED, is_flag_set
from server.receipt import WiringReceipt

PROBE_SECONDS = 1.0
ANSWERS = "answers"
DOES_NOT_ANSWER = "does not answer"

_log = structlog.stdlib.get_logger("plexsphere.health")


class Degraded(Exception):
    """Raised by a probe when the dependency works with a fault; the message is a fixed text."""


class Down(Exception):
    """Raised by a probe when the dependency cannot be used; the message is a fixed text."""


Probe = Callable[[Deadline], None]


class DependencyProbes:
    """A HealthProbe over named probes; a probe returns, raises Degraded or Down, or fails."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = dict(sorted(probes.items()))

    def checks(self, deadline: Deadline) -> Sequence[HealthCheck]:
        """Run every probe in turn, each within a second."""
        return [self._check(name, probe, deadline) for name, probe in self._probes.items()]

    def _check(self, name: str, probe: Probe, deadline: Deadline) -> HealthCheck:
        try:
            probe(deadline.at_most(PROBE_SECONDS))
        except Degraded as degraded:
            return HealthCheck(name, "degraded", str(degraded))
        except Down as down:
            return HealthCheck(name, "down", str(down))
        except ComposerError as error:
            _log.warning("dependency_down", dependency=name, cause=str(error))
            return HealthCheck(name, "down", DOES_NOT_ANSWER)
        except Exception:
            _log.exception("dependency_probe_failed", dependency=name)
            return HealthCheck(name, "down", DOES_NOT_ANSWER)
        return HealthCheck(name, "ok", ANSWERS)


def wiring_probe(receipt: WiringReceipt) -> Probe:
    """Down while a load-bearing port is missing."""

    def probe(deadline: Deadline) -> None:
        if not receipt.complete:
            raise Down("the reconciliation pull is not provisioned")

    return probe


def release_probe() -> Probe:
    """Degraded while workers of before serve because those of a reload do not start."""

    def probe(deadline: Deadline) -> None:
        if is_flag_set(NOT_RELOADED):
            raise Degraded("the last reload does not start; what served before it serves")

    return probe


# A probe may take a second, and measures a clock to half of that.
LEAST_LEEWAY = 1.0


def clock_probe(
    skew: Callable[[Deadline], float], leeway: float, are_unauthorized: Callable[[], bool]
) -> Probe:
    """The clocks of Postgres and this machine agree, to the ``leeway`` of a token's times.

    Down where pulls are refused as unauthorized; a wrong clock of Postgres itself refuses none. No
    fault while Postgres does not answer, which is that of another probe.
    """

    def probe(deadline: Deadline) -> None:
        try:
            ahead = skew(deadline)
        except ComposerError:
            return
        if abs(ahead) > max(leeway, LEAST_LEEWAY):
            if are_unauthorized():
                raise Down("this machine's clock is not that of Postgres, and pulls are 401")
            raise Degraded("this machine's clock is not that of Postgres: tokens may be refused")

    return probe


class RecentNodes:
    """Nodes that the ledger had lately: what SpiceDB says of them, it says of all Nodes."""

    nodes: tuple[UUID, ...] = ()


def ledger_probe(pool: Sessions[ReadSession], recent: RecentNodes) -> Probe:
    """Postgres answers as it must for a pull, and has the schema of this release."""

    def probe(deadline: Deadline) -> None:
        try:
            found = read_readiness(pool, deadline)
        except LedgerBehind:
            raise Down("it is older than what was answered before; run doctor") from None
        except DatastoreUnavailable as error:
            if is_fault_of_pooler(error):
                raise Down("a pooler loses prepared statements; run doctor") from None
            raise
        recent.nodes = found.nodes
        if found.version < expected_version():
            raise Down("the schema is older than this release; run plexsphere-state migrate")
        if found.version > expected_version():
            raise Degraded("the schema is newer than this release")

    return probe


def spicedb_probe(admin: SpiceDbAdmin, recent: RecentNodes) -> Probe:
    """SpiceDB decides by our schema, and has the ledger's tuples."""

    def probe(deadline: Deadline) -> None:
        if not admin.knows_any(recent.nodes, deadline):
            raise Down("it knows none of the Nodes; run plexsphere-state authz repair")

    return probe


def bus_probe(is_current: Callable[[], bool]) -> Probe:
    """Events arrive. The pull does not need them, so that the bus is never *down*."""

    def probe(deadline: Deadline) -> None:
        if not is_current():
            raise Degraded("NATS does not answer: no event stream can be opened, and pulls go on")

    return probe


# Refreshes of the JWKS that failed one after the other.
FAILURES_TO_DEGRADE = 3


def keys_probe(
    keys: KeySource, own: KeySource | None = None, failures: Callable[[], int] = lambda: 0
) -> Probe:
    """A probe for a key that verifies tokens; degraded with keys in ``own`` alone, or where the set
    could not be refreshed several times."""

    def probe(deadline: Deadline) -> None:
        usable, _ = keys.describe()
        if usable:
            if failures() >= FAILURES_TO_DEGRADE:
                raise Degraded("the key set cannot be refreshed; the last one is used")
            return
        if own is not None and own.describe()[0]:
            raise Degraded("only tokens of this service's own can be verified")
        raise Down("no usable verification key")

    return probe
