"""The promises of every OutboxRelay (``composer.registry.OutboxRelay``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pytest

from composer.errors import AuthzUnavailable, DatastoreUnavailable
from composer.identity import domain_object, node_object
from composer.registry import OutboxRelay
from tests.factories import DOMAIN, node_id
from tests.fakes import Triple
from tests.node_fakes import TupleUpdate
from tests.ports.deadlines import expired, in_time

NODE = node_object(node_id(1))
OTHER = node_object(node_id(2))
AGENT = (NODE, "agent", NODE)
HOME = (NODE, "domain", domain_object(DOMAIN))


class OutboxFacts(Protocol):
    """An empty outbox and a SpiceDB without tuples."""

    relay: OutboxRelay

    def write(self, object: str, *updates: TupleUpdate) -> None:
        """Commit one row about ``object``."""
        ...

    def taken(self) -> set[Triple]:
        """Every tuple that SpiceDB has, as (resource, relation, subject)."""
        ...

    def spicedb_goes_away(self) -> None: ...

    def spicedb_comes_back(self) -> None: ...


def touch(*triples: Triple) -> Sequence[TupleUpdate]:
    return [("touch", *triple) for triple in triples]


def purge(resource: str) -> TupleUpdate:
    return ("purge", resource, "", "")


class OutboxRelaySuite:
    """Override ``facts`` with a fixture."""

    @pytest.fixture
    def facts(self) -> OutboxFacts:
        raise NotImplementedError

    def test_what_was_written_is_taken(self, facts: OutboxFacts) -> None:
        facts.write(NODE, *touch(AGENT, HOME))
        facts.relay.deliver(NODE, in_time())
        assert facts.taken() == {AGENT, HOME}

    def test_rows_are_taken_in_the_order_they_were_written_in(self, facts: OutboxFacts) -> None:
        facts.write(NODE, *touch(AGENT, HOME))
        facts.write(NODE, purge(NODE))
        facts.write(NODE, *touch(HOME))
        facts.relay.deliver(NODE, in_time())
        assert facts.taken() == {HOME}

    def test_a_tuple_taken_back_is_gone_and_the_others_stay(self, facts: OutboxFacts) -> None:
        facts.write(NODE, *touch(AGENT, HOME))
        facts.write(NODE, ("delete", *AGENT))
        facts.relay.deliver(NODE, in_time())
        assert facts.taken() == {HOME}

    def test_a_purge_leaves_other_objects_alone(self, facts: OutboxFacts) -> None:
        facts.write(OTHER, *touch((OTHER, "agent", OTHER)))
        facts.write(NODE, *touch(AGENT))
        facts.write(NODE, purge(NODE))
        for object_ in (OTHER, NODE):
            facts.relay.deliver(object_, in_time())
        assert facts.taken() == {(OTHER, "agent", OTHER)}

    def test_what_is_about_another_object_need_not_be_taken(self, facts: OutboxFacts) -> None:
        facts.write(NODE, *touch(AGENT))
        facts.relay.deliver(OTHER, in_time())
        facts.relay.deliver(NODE, in_time())
        assert AGENT in facts.taken()

    def test_settling_again_changes_nothing(self, facts: OutboxFacts) -> None:
        facts.write(NODE, *touch(AGENT))
        for _ in range(3):
            facts.relay.deliver(NODE, in_time())
        assert facts.taken() == {AGENT}

    def test_an_object_of_which_nothing_waits_is_no_error(self, facts: OutboxFacts) -> None:
        facts.relay.deliver(NODE, in_time())
        assert facts.taken() == set()

    def test_what_spicedb_does_not_take_goes_on_waiting(self, facts: OutboxFacts) -> None:
        facts.write(NODE, *touch(AGENT, HOME))
        facts.spicedb_goes_away()
        with pytest.raises(AuthzUnavailable):
            facts.relay.deliver(NODE, in_time())
        facts.spicedb_comes_back()
        facts.relay.deliver(NODE, in_time())
        assert facts.taken() == {AGENT, HOME}

    def test_without_time_left_nothing_is_said_to_be_taken(self, facts: OutboxFacts) -> None:
        facts.write(NODE, *touch(AGENT))
        with pytest.raises((AuthzUnavailable, DatastoreUnavailable)):
            facts.relay.deliver(NODE, expired())
        facts.relay.deliver(NODE, in_time())
        assert facts.taken() == {AGENT}
