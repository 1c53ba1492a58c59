"""The peers a process already holds, by Domain and revision."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from composer.peers import PeerRow, PeerTable


@dataclass(frozen=True, slots=True, eq=False)
class HeldPeers:
    """A table, and its rows by the line they were decoded from: the next revision shares most."""

    table: PeerTable
    lines: Mapping[str, PeerRow]


class PeerTables:
    """The newest table of each Domain lately asked for, at most ``max_rows`` rows in all.

    The one asked for last is held whatever its size. Never a source of truth: the ledger says of
    every table handed out, in the statement it is handed out for, that its revision is current.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._rows = 0
        self._held: OrderedDict[UUID, HeldPeers] = OrderedDict()
        self._lock = threading.Lock()

    def held(self, domain_id: UUID) -> HeldPeers | None:
        """What is held of the Domain, current or not."""
        with self._lock:
            found = self._held.get(domain_id)
            if found is not None:
                self._held.move_to_end(domain_id)
            return found

    def keep(self, new: HeldPeers) -> None:
        """Hold ``new`` in place of what was held of its Domain."""
        domain_id = new.table.domain_id
        with self._lock:
            old = self._held.pop(domain_id, None)
            self._held[domain_id] = new
            self._rows += len(new.table.rows) - (len(old.table.rows) if old else 0)
            while self._rows > self._max_rows and len(self._held) > 1:
                _, dropped = self._held.popitem(last=False)
                self._rows -= len(dropped.table.rows)
