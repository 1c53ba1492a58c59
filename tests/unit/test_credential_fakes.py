"""The fake of NodeCredentials keeps what the port promises."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable
from tests.credential_fakes import FakeNodeCredentials
from tests.factories import EPOCH
from tests.ports.node_credentials import NODE, NodeCredentialsSuite


class CredentialsInADict:
    def __init__(self) -> None:
        self.credentials = FakeNodeCredentials({NODE: ()})

    def now(self) -> datetime:
        return EPOCH

    def tokens_not_before(self, node: UUID) -> datetime | None:
        return EPOCH if node in self.credentials.revoked else None

    def go_away(self) -> None:
        self.credentials.fails = DatastoreUnavailable("away")


class TestFakeNodeCredentials(NodeCredentialsSuite):
    @pytest.fixture
    def facts(self) -> CredentialsInADict:
        return CredentialsInADict()
