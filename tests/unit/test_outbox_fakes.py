"""The fake of the OutboxRelay keeps what the port promises."""

from __future__ import annotations

import pytest

from composer.errors import AuthzUnavailable
from tests.fakes import Triple
from tests.node_fakes import FakeOutboxRelay, TupleUpdate
from tests.ports.outbox_relay import OutboxRelaySuite


class RowsInAList:
    def __init__(self) -> None:
        self.relay = FakeOutboxRelay()

    def write(self, object: str, *updates: TupleUpdate) -> None:
        self.relay.waiting.append((object, updates))

    def taken(self) -> set[Triple]:
        return self.relay.tuples

    def spicedb_goes_away(self) -> None:
        self.relay.fails = AuthzUnavailable("away")

    def spicedb_comes_back(self) -> None:
        self.relay.fails = None


class TestFakeOutboxRelay(OutboxRelaySuite):
    @pytest.fixture
    def facts(self) -> RowsInAList:
        return RowsInAList()
