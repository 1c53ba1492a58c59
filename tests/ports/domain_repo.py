"""The promises of every DomainRepo (``composer.identity.DomainRepo``)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable, DomainNotFound
from composer.identity import NIL, AddressedDomain, DomainRepo
from tests.factories import DOMAIN
from tests.ports.deadlines import expired, in_time


class DomainFacts(Protocol):
    """Where the Domains live that ``repo`` looks up."""

    repo: DomainRepo

    def put(self, domain: AddressedDomain) -> None:
        """Create the Domain, or replace what is known of it."""
        ...

    def remove(self, domain: UUID) -> None: ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class DomainRepoSuite:
    """Override ``facts`` with a fixture that starts without any Domain."""

    @pytest.fixture
    def facts(self) -> DomainFacts:
        raise NotImplementedError

    @pytest.mark.parametrize("token", [None, "GgQKAggB"], ids=["none", "some"])
    def test_a_domain_is_found_with_its_token(self, facts: DomainFacts, token: str | None) -> None:
        facts.put(AddressedDomain(DOMAIN, token))
        assert facts.repo.get_by_id(DOMAIN, in_time()) == AddressedDomain(DOMAIN, token)

    @pytest.mark.parametrize("unknown", [NIL, UUID(int=2**128 - 1)], ids=str)
    def test_a_domain_that_was_never_created_is_not_found(
        self, facts: DomainFacts, unknown: UUID
    ) -> None:
        facts.put(AddressedDomain(DOMAIN, None))
        with pytest.raises(DomainNotFound):
            facts.repo.get_by_id(unknown, in_time())

    def test_a_deleted_domain_is_not_found(self, facts: DomainFacts) -> None:
        facts.put(AddressedDomain(DOMAIN, None))
        facts.remove(DOMAIN)
        with pytest.raises(DomainNotFound):
            facts.repo.get_by_id(DOMAIN, in_time())

    def test_a_new_token_is_seen_by_the_next_lookup(self, facts: DomainFacts) -> None:
        facts.put(AddressedDomain(DOMAIN, "before"))
        facts.repo.get_by_id(DOMAIN, in_time())
        facts.put(AddressedDomain(DOMAIN, "after"))
        assert facts.repo.get_by_id(DOMAIN, in_time()).authz_token == "after"

    def test_a_store_that_is_away_does_not_say_that_a_domain_is_missing(
        self, facts: DomainFacts
    ) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.repo.get_by_id(DOMAIN, in_time())

    def test_without_time_left_nothing_is_looked_up(self, facts: DomainFacts) -> None:
        facts.put(AddressedDomain(DOMAIN, None))
        with pytest.raises(DatastoreUnavailable):
            facts.repo.get_by_id(DOMAIN, expired())
