"""The promises of every DomainReader (``composer.registry.DomainReader``)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable, DomainNotFound
from composer.identity import VisibleDomains
from composer.registry import DomainReader, NewDomain
from tests.factories import DOMAIN
from tests.ports.deadlines import expired, in_time
from tests.ports.domain_registry import NORTH, SOUTH

EVERY = VisibleDomains(None)


class DomainReaderFacts(Protocol):
    """A ledger without a Domain."""

    reader: DomainReader

    def create(self, new: NewDomain) -> UUID: ...

    def go_away(self) -> None: ...


class DomainReaderSuite:
    """Override ``facts`` with a fixture."""

    @pytest.fixture
    def facts(self) -> DomainReaderFacts:
        raise NotImplementedError

    def test_a_domain_is_read_as_it_was_created(self, facts: DomainReaderFacts) -> None:
        domain = facts.reader.read(facts.create(NORTH), in_time())
        assert (domain.name, domain.slug) == (NORTH.name, NORTH.slug)
        assert (domain.mesh_cidr, domain.child_counts.nodes) == (NORTH.mesh_cidr, 0)

    def test_a_domain_that_is_not_there_is_not_found(self, facts: DomainReaderFacts) -> None:
        with pytest.raises(DomainNotFound):
            facts.reader.read(DOMAIN, in_time())

    def test_a_page_has_the_visible_domains_by_id_above_the_last(
        self, facts: DomainReaderFacts
    ) -> None:
        ids = sorted(facts.create(new) for new in (NORTH, SOUTH))

        def page(
            visible: frozenset[UUID] | None, after: UUID | None = None, limit: int = 9
        ) -> list[UUID]:
            found = facts.reader.page(VisibleDomains(visible), after, limit, in_time())
            assert all(domain == facts.reader.read(domain.id, in_time()) for domain in found)
            return [domain.id for domain in found]

        assert page(None) == ids
        assert page(None, limit=1) == ids[:1]
        assert page(None, after=ids[0]) == ids[1:]
        assert page(frozenset(ids[1:])) == ids[1:]
        assert page(frozenset()) == page(None, after=ids[1]) == []

    def test_a_store_that_is_away_is_said_to_be(self, facts: DomainReaderFacts) -> None:
        domain_id = facts.create(NORTH)
        with pytest.raises(DatastoreUnavailable):
            facts.reader.read(domain_id, expired())
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.reader.read(domain_id, in_time())
        with pytest.raises(DatastoreUnavailable):
            facts.reader.page(EVERY, None, 9, in_time())
