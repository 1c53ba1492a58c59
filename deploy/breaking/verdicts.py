"""Whom a change of a schema breaks: it depends on who makes the value.

What the service sends may only become narrower: a client was written for what was promised. What a
client sends may only be admitted more widely: it was written for what was asked.
"""

from __future__ import annotations

from enum import Enum

from deploy.breaking.facets import Width
from deploy.breaking.findings import Severity

SURPRISE = "a client may meet a value it was never told of"
PROMISED = "what is sent was promised before"
ACCEPTED = "what was accepted still is"


class Way(Enum):
    """Who makes the value."""

    SENT = "sent by the service"
    TAKEN = "taken by the service"


_VERDICTS = {
    (Way.SENT, Width.WIDER): (Severity.BREAKING, SURPRISE),
    (Way.SENT, Width.NARROWER): (Severity.HARMLESS, PROMISED),
    (Way.SENT, Width.OTHER): (Severity.BREAKING, SURPRISE),
    (Way.TAKEN, Width.WIDER): (Severity.HARMLESS, ACCEPTED),
    (Way.TAKEN, Width.NARROWER): (Severity.BREAKING, "a request that was right is now refused"),
    (Way.TAKEN, Width.OTHER): (Severity.BREAKING, "a request that was right may now be refused"),
}


def verdict(way: Way, width: Width) -> tuple[Severity, str]:
    """How bad it is, and why."""
    return _VERDICTS[way, width]
