"""The fake of BootstrapTokens keeps what the port promises."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable
from tests.enrolment_fakes import FakeBootstrapTokens
from tests.ports.bootstrap_tokens import BootstrapTokensSuite
from tests.ports.node_registry import NODE_QUOTA, RANGES
from tests.registry_fakes import FakeNodeRegistry


class TokensInADict:
    def __init__(self) -> None:
        self.registry = FakeNodeRegistry(dict(RANGES), node_quota=NODE_QUOTA)
        self.tokens = FakeBootstrapTokens(self.registry)

    def digests_of(self, node: UUID) -> tuple[bytes, ...]:
        return (self.registry.digests[node],)

    def key_of(self, node: UUID) -> bytes | None:
        row = self.registry.nodes.get(node)
        return row[1] if row else None

    def time_passes(self, by: timedelta) -> None:
        self.tokens.now += by

    def go_away(self) -> None:
        self.tokens.fails = DatastoreUnavailable("away")


class TestFakeBootstrapTokens(BootstrapTokensSuite):
    @pytest.fixture
    def facts(self) -> TokensInADict:
        return TokensInADict()
