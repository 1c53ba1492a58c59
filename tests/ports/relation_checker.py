"""The promises of every RelationChecker (``composer.identity.RelationChecker``)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID, uuid4

import pytest

from composer.errors import AuthzUnavailable
from composer.identity import Principal, PrincipalKind, RelationChecker, node_object
from tests.factories import agent_of, node_id
from tests.ports.deadlines import expired, in_time

AGENT = "node-agent"
AGENT_KINDS = sorted({*PrincipalKind} - {PrincipalKind.BOOTSTRAP_TOKEN})
ODD_IDS = ["", " ", "a b", "*", "é", "a" * 2000, "a#agent", "../x", "a:b", "a\n", "\x00"]


class RelationFacts(Protocol):
    """Where the tuples live that ``checker`` decides by."""

    checker: RelationChecker

    def grant(self, principal: Principal, node: UUID) -> str:
        """Make the Principal an agent of the Node; a token of that moment."""
        ...

    def revoke(self, principal: Principal, node: UUID) -> str:
        """Take it back; a token of that moment."""
        ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


class RelationCheckerSuite:
    """Override ``facts`` with a fixture that starts without any tuple."""

    @pytest.fixture
    def facts(self) -> RelationFacts:
        raise NotImplementedError

    def ask(self, facts: RelationFacts, principal: Principal, node: UUID, relation: str = AGENT):
        return facts.checker.check(principal, relation, node_object(node), in_time())

    def ask_at(self, facts: RelationFacts, principal: Principal, node: UUID, token: str):
        return facts.checker.check_at_least(principal, AGENT, node_object(node), token, in_time())

    def ask_now(self, facts: RelationFacts, principal: Principal, node: UUID):
        return facts.checker.check_now(principal, AGENT, node_object(node), in_time())

    def test_an_agent_is_allowed_at_once(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        assert self.ask(facts, agent_of(1), node_id(1)) is True

    @pytest.mark.parametrize("kind", AGENT_KINDS)
    def test_any_kind_of_principal_can_be_an_agent(
        self, facts: RelationFacts, kind: PrincipalKind
    ) -> None:
        someone = Principal(kind, "stand-in")
        facts.grant(someone, node_id(1))
        assert self.ask(facts, someone, node_id(1)) is True

    def test_a_stranger_is_not_allowed(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        assert self.ask(facts, agent_of(2), node_id(1)) is False

    def test_a_principal_of_another_kind_with_the_same_id_is_a_stranger(
        self, facts: RelationFacts
    ) -> None:
        facts.grant(Principal(PrincipalKind.SERVICE, "same"), node_id(1))
        assert self.ask(facts, Principal(PrincipalKind.USER, "same"), node_id(1)) is False

    def test_an_agent_of_one_node_is_a_stranger_to_another(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        assert self.ask(facts, agent_of(1), node_id(2)) is False

    def test_a_node_is_not_its_own_agent_unless_granted(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        assert self.ask(facts, agent_of(2), node_id(2)) is False

    def test_a_grant_after_a_no_is_seen_by_the_next_who_brings_its_token(
        self, facts: RelationFacts
    ) -> None:
        assert self.ask(facts, agent_of(1), node_id(1)) is False
        token = facts.grant(agent_of(1), node_id(1))
        assert self.ask_at(facts, agent_of(1), node_id(1), token) is True

    def test_a_revocation_is_seen_by_who_brings_its_token(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        token = facts.revoke(agent_of(1), node_id(1))
        assert self.ask_at(facts, agent_of(1), node_id(1), token) is False

    def test_a_yes_at_one_token_is_no_yes_at_a_later_one(self, facts: RelationFacts) -> None:
        granted = facts.grant(agent_of(1), node_id(1))
        assert self.ask_at(facts, agent_of(1), node_id(1), granted) is True
        revoked = facts.revoke(agent_of(1), node_id(1))
        assert self.ask_at(facts, agent_of(1), node_id(1), revoked) is False

    def test_a_grant_and_its_revocation_are_seen_at_once_by_who_asks_for_now(
        self, facts: RelationFacts
    ) -> None:
        self.ask_now(facts, agent_of(1), node_id(1))
        facts.grant(agent_of(1), node_id(1))
        assert self.ask_now(facts, agent_of(1), node_id(1)) is True
        facts.revoke(agent_of(1), node_id(1))
        assert self.ask_now(facts, agent_of(1), node_id(1)) is False

    def test_a_store_that_is_away_decides_nothing_of_now(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        facts.go_away()
        with pytest.raises(AuthzUnavailable):
            self.ask_now(facts, agent_of(1), node_id(1))

    def test_the_token_of_the_last_yes_is_known_until_it_is_a_no(
        self, facts: RelationFacts
    ) -> None:
        question = (agent_of(1), AGENT, node_object(node_id(1)))
        granted = facts.grant(agent_of(1), node_id(1))
        assert facts.checker.last_token(*question) is None
        self.ask_at(facts, agent_of(1), node_id(1), granted)
        assert facts.checker.last_token(*question) == granted
        revoked = facts.revoke(agent_of(1), node_id(1))
        self.ask_at(facts, agent_of(1), node_id(1), revoked)
        assert facts.checker.last_token(*question) is None

    def test_a_stranger_is_not_allowed_at_any_token(self, facts: RelationFacts) -> None:
        token = facts.grant(agent_of(1), node_id(1))
        assert self.ask_at(facts, agent_of(2), node_id(1), token) is False

    @pytest.mark.parametrize("odd", ODD_IDS, ids=ascii)
    def test_a_subject_that_cannot_exist_is_a_no_and_no_fault(
        self, facts: RelationFacts, odd: str
    ) -> None:
        token = facts.grant(agent_of(1), node_id(1))
        oddity = Principal(PrincipalKind.USER, odd)
        answers = (
            self.ask(facts, oddity, node_id(1)),
            self.ask_at(facts, oddity, node_id(1), token),
        )
        assert answers == (False, False)

    def test_a_store_that_is_away_decides_nothing(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        facts.go_away()
        with pytest.raises(AuthzUnavailable):
            self.ask(facts, agent_of(1), node_id(1))

    def test_a_store_that_is_away_decides_nothing_at_a_token(self, facts: RelationFacts) -> None:
        token = facts.grant(agent_of(1), node_id(1))
        facts.go_away()
        with pytest.raises(AuthzUnavailable):
            self.ask_at(facts, agent_of(1), node_id(1), token)

    def test_without_time_left_nothing_is_decided(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        with pytest.raises(AuthzUnavailable):
            facts.checker.check(agent_of(1), AGENT, node_object(node_id(1)), expired())

    def test_the_objects_of_a_principal_are_those_granted_and_no_longer_those_revoked(
        self, facts: RelationFacts
    ) -> None:
        someone = Principal(PrincipalKind.USER, uuid4().hex)  # unknown to every other test

        def objects() -> frozenset[UUID]:
            return facts.checker.objects_of(someone, AGENT, "node", in_time())

        assert objects() == frozenset()
        facts.grant(someone, node_id(1))
        facts.grant(someone, node_id(2))
        facts.grant(agent_of(3), node_id(3))
        assert objects() == {node_id(1), node_id(2)}
        facts.revoke(someone, node_id(2))
        assert objects() == {node_id(1)}

    def test_a_store_that_is_away_names_no_objects(self, facts: RelationFacts) -> None:
        facts.grant(agent_of(1), node_id(1))
        facts.go_away()
        with pytest.raises(AuthzUnavailable):
            facts.checker.objects_of(agent_of(1), AGENT, "node", in_time())
