"""The promises of every EventKeys (``composer.event_keys.EventKeys``)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from uuid import UUID

import pytest

from composer.errors import DatastoreUnavailable, DomainNotFound
from composer.event_keys import EventKeys
from tests.factories import DOMAIN, node_id
from tests.ports.deadlines import expired, in_time

OTHER_DOMAIN, NO_DOMAIN = UUID(int=DOMAIN.int + 1), node_id(9)


class EventKeyFacts(Protocol):
    """``DOMAIN`` and ``OTHER_DOMAIN``, without keys."""

    event_keys: EventKeys

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class EventKeysSuite:
    """Override ``facts`` with a fixture."""

    @pytest.fixture
    def facts(self) -> EventKeyFacts:
        raise NotImplementedError

    def test_a_domain_gets_a_key_at_first_need_and_keeps_it(self, facts: EventKeyFacts) -> None:
        first, second = (facts.event_keys.current(DOMAIN, in_time()) for _ in range(2))
        assert first == second
        assert len(first.public_key) == 32 and len(first.id) == 16

    def test_two_domains_have_two_keys(self, facts: EventKeyFacts) -> None:
        keys = [facts.event_keys.current(id, in_time()) for id in (DOMAIN, OTHER_DOMAIN)]
        assert len({key.id for key in keys}) == len({key.public_key for key in keys}) == 2

    def test_concurrent_callers_get_one_key(self, facts: EventKeyFacts) -> None:
        with ThreadPoolExecutor(8) as threads:
            asked = [threads.submit(facts.event_keys.current, DOMAIN, in_time()) for _ in range(8)]
        assert len({answer.result() for answer in asked}) == 1

    def test_a_domain_that_does_not_exist_has_no_key(self, facts: EventKeyFacts) -> None:
        with pytest.raises(DomainNotFound):
            facts.event_keys.current(NO_DOMAIN, in_time())

    def test_a_store_that_does_not_answer(self, facts: EventKeyFacts) -> None:
        with pytest.raises(DatastoreUnavailable):
            facts.event_keys.current(DOMAIN, expired())
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            facts.event_keys.current(DOMAIN, in_time())
