"""The fakes of the liveness ports keep what the ports promise."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable
from composer.reachability import ReachabilityRow
from tests.node_fakes import FakeHeartbeatSink, FakeReachabilityRepo
from tests.ports.heartbeat_sink import NODE, HeartbeatSinkSuite
from tests.ports.reachability_repo import ReachabilityRepoSuite


class FakeHeartbeatFacts:
    def __init__(self) -> None:
        self.sink = FakeHeartbeatSink({NODE})

    def now(self) -> datetime:
        return self.sink.now

    def last_heartbeat(self, node: UUID) -> datetime | None:
        return self.sink.accepted.get(node)

    def carry(self, node: UUID, token: str) -> None:
        self.sink.tokens[node] = token

    def cover(
        self, node: UUID, digests: tuple[bytes, ...], tokens_not_before: datetime | None
    ) -> None:
        self.sink.credentials[node] = (digests, tokens_not_before)

    def remove(self, node: UUID) -> None:
        self.sink.known.remove(node)

    def go_away(self) -> None:
        self.sink.fails = DatastoreUnavailable("away")


class TestFakeHeartbeatSink(HeartbeatSinkSuite):
    @pytest.fixture
    def facts(self) -> FakeHeartbeatFacts:
        return FakeHeartbeatFacts()


class FakeVerdictFacts:
    def __init__(self) -> None:
        self.repo = FakeReachabilityRepo()

    def put(self, node: UUID, row: ReachabilityRow) -> None:
        self.repo.rows[node] = row

    def remove(self, node: UUID) -> None:
        del self.repo.rows[node]

    def go_away(self) -> None:
        self.repo.fails = DatastoreUnavailable("away")


class TestFakeReachabilityRepo(ReachabilityRepoSuite):
    @pytest.fixture
    def facts(self) -> FakeVerdictFacts:
        return FakeVerdictFacts()
