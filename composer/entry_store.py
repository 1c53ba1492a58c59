"""The seam through which a Node's entries are written."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from composer.deadline import Deadline
from composer.entries import EntryRow
from composer.identity import AddressedNode


class EntryStore(Protocol):
    """Where a Node's entries are written: its agent's reports, the platform's metadata and data.

    Neither method touches the Domain's ``peers_revision``; the next pull shows what was done. Both
    may be sent twice where a connection is lost. A report waits only for another report of the same
    Node, and for whoever is deleting it. Metadata and data are written under their Domain's row and
    leave one event ``node_state_updated`` in the same transaction, so that a Domain's events are
    numbered in the order in which they took effect.
    """

    def put(self, node: AddressedNode, entry: EntryRow, deadline: Deadline) -> datetime:
        """Store or replace; the moment by the ledger's clock, in UTC.

        The same entry again changes nothing and leaves no event. The quota of a kind holds under
        any number of writers; replacing never exceeds it. Raises NodeNotFound when the Node is not,
        or no longer, in that Domain (nothing is written then), ReportQuotaExceeded or
        EntryQuotaExceeded, DatastoreUnavailable.
        """
        ...

    def remove(self, node: AddressedNode, kind: str, key: str, deadline: Deadline) -> None:
        """Raises NodeNotFound, ReportNotFound or EntryNotFound, DatastoreUnavailable."""
        ...
