"""The promises of every DomainRegistry (``composer.registry.DomainRegistry``)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import (
    DatastoreUnavailable,
    DomainNotEmpty,
    DomainNotFound,
    DomainSlugConflict,
    IdempotencyKeyConflict,
    MeshCidrOverlap,
)
from composer.reachability import DEFAULT_POLICY, reachability_policy
from composer.registry import DomainChange, DomainRegistry, NewDomain
from tests.factories import DOMAIN, WRITE
from tests.ports.deadlines import expired, in_time

NORTH = NewDomain("Plant North", "plant-north", "10.42.0.0/16")
SOUTH = NewDomain("Plant South", "plant-south", "10.43.0.0/16", "Presses.", "eu")


class DomainRegistryFacts(Protocol):
    """No Domain at all."""

    registry: DomainRegistry

    def slugs(self) -> set[str]:
        """Of every Domain there is."""
        ...

    def values(self, domain_id: UUID) -> tuple[str, str | None, str | None, timedelta]:
        """Name, description, region, and how long its Nodes may be silent before they are stale."""
        ...

    def updated_at(self, domain_id: UUID) -> datetime | None:
        """The time of the last change; None before the first one."""
        ...

    def occupy(self, domain_id: UUID) -> None:
        """Give the Domain a Node."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class DomainRegistrySuite:
    """Override ``facts`` with a fixture."""

    @pytest.fixture
    def facts(self) -> DomainRegistryFacts:
        raise NotImplementedError

    def test_a_created_domain_is_new_and_has_a_version_7_id(
        self, facts: DomainRegistryFacts
    ) -> None:
        made = [facts.registry.create(domain, None, WRITE, in_time()) for domain in (NORTH, SOUTH)]
        assert [domain.is_new for domain in made] == [True, True]
        assert [domain.domain_id.version for domain in made] == [7, 7]
        assert facts.slugs() == {"plant-north", "plant-south"}

    def test_the_same_key_and_wish_find_the_domain(self, facts: DomainRegistryFacts) -> None:
        first, again = (facts.registry.create(NORTH, "k", WRITE, in_time()) for _ in range(2))
        assert (first.domain_id, again.is_new) == (again.domain_id, False)

    def test_the_same_key_with_another_wish_is_a_conflict(self, facts: DomainRegistryFacts) -> None:
        facts.registry.create(NORTH, "k", WRITE, in_time())
        for other in (SOUTH, replace(NORTH, name="x"), replace(NORTH, region="eu")):
            with pytest.raises(IdempotencyKeyConflict):
                facts.registry.create(other, "k", WRITE, in_time())
        assert facts.slugs() == {"plant-north"}

    def test_a_key_lives_as_long_as_its_domain(self, facts: DomainRegistryFacts) -> None:
        first = facts.registry.create(NORTH, "k", WRITE, in_time())
        facts.registry.delete(first.domain_id, WRITE, in_time())
        second = facts.registry.create(SOUTH, "k", WRITE, in_time())
        assert second.is_new
        assert facts.registry.create(SOUTH, "k", WRITE, in_time()).domain_id == second.domain_id

    def test_a_slug_is_taken_once(self, facts: DomainRegistryFacts) -> None:
        facts.registry.create(NORTH, None, WRITE, in_time())
        with pytest.raises(DomainSlugConflict):
            facts.registry.create(replace(SOUTH, slug="plant-north"), None, WRITE, in_time())

    @pytest.mark.parametrize("mesh_cidr", ["10.42.0.0/16", "10.42.7.0/24", "10.0.0.0/8"])
    def test_no_two_domains_share_an_address(
        self, facts: DomainRegistryFacts, mesh_cidr: str
    ) -> None:
        facts.registry.create(NORTH, None, WRITE, in_time())
        with pytest.raises(MeshCidrOverlap):
            facts.registry.create(replace(SOUTH, mesh_cidr=mesh_cidr), None, WRITE, in_time())
        assert facts.slugs() == {"plant-north"}

    def test_ranges_of_two_families_do_not_overlap(self, facts: DomainRegistryFacts) -> None:
        facts.registry.create(NORTH, None, WRITE, in_time())
        facts.registry.create(replace(SOUTH, mesh_cidr="fd00:a2a::/32"), None, WRITE, in_time())
        assert facts.slugs() == {"plant-north", "plant-south"}

    def test_a_change_sets_what_it_names_and_keeps_the_rest(
        self, facts: DomainRegistryFacts
    ) -> None:
        domain = facts.registry.create(SOUTH, None, WRITE, in_time()).domain_id

        def change(**values: object) -> tuple[str, str | None, str | None, timedelta]:
            facts.registry.update(domain, DomainChange(**values), WRITE, in_time())
            return facts.values(domain)

        default, slow = DEFAULT_POLICY.stale_after, timedelta(minutes=2)
        policy = reachability_policy(timedelta(seconds=30), slow, timedelta(minutes=10))
        assert change(name="Plant South") == ("Plant South", "Presses.", "eu", default)
        assert facts.updated_at(domain) is None  # every value is as it was
        assert change(name="Plant West") == ("Plant West", "Presses.", "eu", default)
        assert facts.updated_at(domain) is not None
        assert change(description="", region="us") == ("Plant West", "", "us", default)
        assert change(reachability=policy, sets_reachability=True)[3] == slow
        assert change(name="Plant South") == ("Plant South", "", "us", slow)
        assert change(sets_reachability=True)[3] == default

    def test_a_domain_that_does_not_exist_is_not_changed(self, facts: DomainRegistryFacts) -> None:
        with pytest.raises(DomainNotFound):
            facts.registry.update(DOMAIN, DomainChange(name="x"), WRITE, in_time())

    def test_a_deleted_domain_gives_its_slug_and_its_range_back(
        self, facts: DomainRegistryFacts
    ) -> None:
        first = facts.registry.create(NORTH, None, WRITE, in_time())
        facts.registry.delete(first.domain_id, WRITE, in_time())
        assert facts.slugs() == set()
        assert facts.registry.create(NORTH, None, WRITE, in_time()).is_new

    def test_a_domain_with_nodes_stays(self, facts: DomainRegistryFacts) -> None:
        made = facts.registry.create(NORTH, None, WRITE, in_time())
        facts.occupy(made.domain_id)
        with pytest.raises(DomainNotEmpty) as refused:
            facts.registry.delete(made.domain_id, WRITE, in_time())
        assert refused.value.nodes == 1
        assert facts.slugs() == {"plant-north"}

    def test_a_domain_that_is_gone_already_is_no_error(self, facts: DomainRegistryFacts) -> None:
        facts.registry.delete(DOMAIN, WRITE, in_time())

    def test_a_store_that_is_away_is_said_to_be(self, facts: DomainRegistryFacts) -> None:
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.registry.create(NORTH, None, WRITE, in_time())
        with pytest.raises(DatastoreUnavailable):
            facts.registry.delete(DOMAIN, WRITE, in_time())
        with pytest.raises(DatastoreUnavailable):
            facts.registry.update(DOMAIN, DomainChange(name="x"), WRITE, in_time())

    def test_without_time_left_nothing_is_made(self, facts: DomainRegistryFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.registry.create(NORTH, None, WRITE, expired())
        assert facts.slugs() == set()
