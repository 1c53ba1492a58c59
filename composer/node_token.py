"""A Node's token: the credential that the service mints for an agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NodeToken:
    """A node-agent JWT and the moment, in UTC, from which it is refused.

    ``token`` is a credential: no log, metric or audit row shows it, nor does the ``repr``.
    """

    token: str = field(repr=False)
    expires_at: datetime


class TokenMint(Protocol):
    """Makes node-agent JWTs. It exists only where the service has a signing key of its own."""

    def mint(self, node_id: UUID) -> NodeToken:
        """A token of the Principal ``node:<id>``, good from now on and for 24 hours.

        No two are equal. The service that minted it accepts it at once; whether the Node may do
        anything is gate 2's to say. Raises SigningUnavailable when there is no key to sign with
        any more.
        """
        ...
