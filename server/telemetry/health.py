"""Is every dependency of the pull there? Details are fixed texts, fit for strangers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from composer.deadline import Deadline
from composer.errors import ComposerError
from handlers.service import HealthCheck

PROBE_SECONDS = 1.0
ANSWERS = "answers"
DOES_NOT_ANSWER = "does not answer"

_log = structlog.stdlib.get_logger("plexsphere.health")


class Degraded(Exception):
    """A probe's way to say that the dependency is there but not as it should be.

    The message is shown to strangers: a fixed text.
    """


class Down(Exception):
    """A probe's way to say that the dependency cannot be used; the message is a fixed text."""


Probe = Callable[[Deadline], None]


class DependencyProbes:
    """A HealthProbe over named probes; each one returns, raises Degraded, or raises."""

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self._probes = dict(sorted(probes.items()))

    def checks(self, deadline: Deadline) -> Sequence[HealthCheck]:
        """Ask every one in turn, each within its share of a second."""
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
