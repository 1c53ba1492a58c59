"""The node token: the credential that the service makes for an agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NodeToken:
    """A node-agent JWT and the time in UTC from which it is refused.

    ``token`` is a credential. It must not appear in a log, metric, audit row or ``repr``.
    """

    token: str = field(repr=False)
    expires_at: datetime


class TokenMint(Protocol):
    """Makes node-agent JWTs; it exists only where the service has its own signing key."""

    def mint(self, node_id: UUID) -> NodeToken:
        """A token of the Principal ``node:<id>``, valid from now and for 24 hours.

        No two tokens are equal. This service accepts it at once; gate 2 decides what the Node may
        do. Raises SigningUnavailable where the key can no longer be read.
        """
        ...
