"""Node tokens: the JWTs that the service signs for the agents of Nodes."""

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

    def mint(self, node_id: UUID, tokens_not_before: datetime | None) -> NodeToken:
        """A token of the Principal ``node:<id>``, valid from now and for 24 hours.

        No two tokens are equal. The token counts as issued now, or at ``tokens_not_before`` where
        that is later: the ledger's clock may be ahead. This service accepts it at once; gate 2
        decides what the Node may do. Raises SigningUnavailable where the key can no longer be read.
        """
        ...
