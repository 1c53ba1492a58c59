"""The promises of every NodeCredentials (``composer.credentials.NodeCredentials``)."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

import pytest

from composer.credentials import NO_DIGEST, NodeCredentials
from composer.errors import DatastoreUnavailable, NodeNotFound
from tests.factories import WRITE, node_id
from tests.ports.deadlines import expired, in_time

NODE, NO_NODE = node_id(1), node_id(9)
FIRST, SECOND, THIRD = (bytes([number]) * 32 for number in (1, 2, 3))


class CredentialFacts(Protocol):
    """One Node without a key, and the clock that ``credentials`` goes by."""

    credentials: NodeCredentials

    def now(self) -> datetime: ...

    def tokens_not_before(self, node: UUID) -> datetime | None: ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


def digests(facts: CredentialFacts, node: UUID = NODE) -> tuple[bytes, ...]:
    """Without those that fill up."""
    found = facts.credentials.secret_key_digests(node, in_time())
    assert len(found) == 2
    return tuple(digest for digest in found if digest != NO_DIGEST)


def rotate(facts: CredentialFacts, *made: bytes) -> None:
    for digest in made:
        facts.credentials.rotate_secret_key(NODE, digest, WRITE, in_time())


class NodeCredentialsSuite:
    """Override ``facts`` with a fixture that knows ``NODE`` and no other."""

    @pytest.fixture
    def facts(self) -> CredentialFacts:
        raise NotImplementedError

    def test_a_node_without_a_key_and_no_node_have_no_digest(self, facts: CredentialFacts) -> None:
        assert (digests(facts), digests(facts, NO_NODE)) == ((), ())

    def test_the_newest_two_keys_are_valid(self, facts: CredentialFacts) -> None:
        rotate(facts, FIRST)
        assert digests(facts) == (FIRST,)
        rotate(facts, SECOND)
        assert digests(facts) == (SECOND, FIRST)
        rotate(facts, THIRD)
        assert digests(facts) == (THIRD, SECOND)

    def test_a_rotation_that_is_sent_again_changes_nothing(self, facts: CredentialFacts) -> None:
        rotate(facts, FIRST, SECOND, SECOND)
        assert digests(facts) == (SECOND, FIRST)

    def test_a_rotation_ends_no_token(self, facts: CredentialFacts) -> None:
        rotate(facts, FIRST, SECOND)
        assert facts.tokens_not_before(NODE) is None

    def test_a_revocation_ends_keys_and_every_token_so_far(self, facts: CredentialFacts) -> None:
        rotate(facts, FIRST, SECOND)
        for _ in range(2):
            facts.credentials.revoke(NODE, WRITE, in_time())
        earliest = facts.tokens_not_before(NODE)
        assert earliest is not None and earliest.microsecond == 0
        assert (digests(facts), earliest.timestamp() > facts.now().timestamp() - 5) == ((), True)
        rotate(facts, THIRD)
        assert digests(facts) == (THIRD,)

    def test_a_token_on_record_changes_no_key(self, facts: CredentialFacts) -> None:
        rotate(facts, FIRST)
        facts.credentials.record_token(NODE, WRITE, in_time())
        assert (digests(facts), facts.tokens_not_before(NODE)) == ((FIRST,), None)

    def test_a_node_that_does_not_exist_gets_no_credential(self, facts: CredentialFacts) -> None:
        with pytest.raises(NodeNotFound):
            facts.credentials.rotate_secret_key(NO_NODE, FIRST, WRITE, in_time())
        with pytest.raises(NodeNotFound):
            facts.credentials.record_token(NO_NODE, WRITE, in_time())
        with pytest.raises(NodeNotFound):
            facts.credentials.revoke(NO_NODE, WRITE, in_time())

    def test_without_time_left_nothing_changes(self, facts: CredentialFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.credentials.rotate_secret_key(NODE, FIRST, WRITE, expired())
        assert digests(facts) == ()

    def test_a_store_that_is_away_is_an_error(self, facts: CredentialFacts) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            digests(facts)
        with pytest.raises(DatastoreUnavailable):
            rotate(facts, FIRST)
        with pytest.raises(DatastoreUnavailable):
            facts.credentials.revoke(NODE, WRITE, in_time())
