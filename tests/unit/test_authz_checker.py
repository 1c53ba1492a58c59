"""The checker's questions to SpiceDB, their consistency, and the decisions from the answers."""

import threading
from collections.abc import Callable

import grpc
import pytest

from composer.errors import AuthzUnavailable
from composer.identity import Principal, PrincipalKind
from tests.scripted_spicedb import (
    AT_LEAST,
    AWAY,
    CONDITIONAL,
    FULLY,
    MINIMIZE,
    NO,
    NODE,
    OBJECT,
    UNSPECIFIED,
    YES,
    Gate,
    undecided,
)


def test_the_question_is_spelled_as_spicedb_spells_it() -> None:
    gate = Gate(minimize_latency=YES)
    assert gate.check() is True
    (request,) = gate.channel.requests
    assert request.permission == "node_agent"
    assert (request.resource.object_type, request.resource.object_id) == ("node", NODE.id)
    assert request.subject.object == request.resource
    assert request.subject.optional_relation == ""


def test_a_yes_costs_one_question() -> None:
    gate = Gate(minimize_latency=YES)
    assert gate.check() is True
    assert gate.channel.asked == [MINIMIZE]


def test_a_no_is_confirmed_before_it_counts() -> None:
    gate = Gate(minimize_latency=NO, fully_consistent=YES)
    assert gate.check() is True
    assert gate.channel.asked == [MINIMIZE, FULLY]


def test_a_no_is_confirmed_at_most_once_a_second_for_a_subject_and_resource() -> None:
    gate = Gate(minimize_latency=NO, fully_consistent=NO)
    for _ in range(20):
        assert gate.check() is False
    assert gate.channel.asked.count(FULLY) == 1
    gate.clock.now += 0.99
    assert gate.check() is False
    assert gate.channel.asked.count(FULLY) == 1
    gate.clock.now += 0.01
    assert gate.check() is False
    assert gate.channel.asked.count(FULLY) == 2


def test_another_subject_or_resource_is_confirmed_on_its_own() -> None:
    gate = Gate(minimize_latency=NO, fully_consistent=NO)
    gate.check()
    gate.check(Principal(PrincipalKind.USER, "ann"))
    gate.check(resource="node:0190aaaa-0000-7000-8000-000000000002")
    assert gate.channel.asked.count(FULLY) == 3


def test_a_confirmed_no_does_not_outlive_a_grant_the_store_already_shows() -> None:
    gate = Gate(minimize_latency=NO, fully_consistent=NO)
    assert gate.check() is False
    gate.channel.answers[MINIMIZE] = YES
    assert gate.check() is True


def test_a_confirmation_that_failed_is_no_no() -> None:
    gate = Gate(minimize_latency=NO, fully_consistent=AWAY)
    for _ in range(2):
        with pytest.raises(AuthzUnavailable):
            gate.check()
    gate.channel.answers[FULLY] = YES
    assert gate.check() is True


def test_a_crowd_with_the_same_question_confirms_it_once() -> None:
    release = threading.Event()
    asking = threading.Event()

    def slowly() -> int:
        asking.set()
        assert release.wait(10)
        return NO

    gate = Gate(minimize_latency=NO, fully_consistent=slowly)
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(gate.check())) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert asking.wait(10)
    while gate.channel.asked.count(MINIMIZE) < 4:
        threading.Event().wait(0.005)
    release.set()
    for thread in threads:
        thread.join(10)
    assert answers == [False] * 4
    assert gate.channel.asked.count(FULLY) == 1


@pytest.mark.parametrize("answer", [NO, CONDITIONAL, UNSPECIFIED, 99])
def test_anything_but_a_clear_yes_is_a_no(answer: int) -> None:
    gate = Gate(minimize_latency=answer, fully_consistent=answer, at_least_as_fresh=answer)
    assert gate.check() is False
    assert gate.at_least() is False


def test_a_schema_that_is_newer_than_the_quantized_revision_is_asked_for_now() -> None:
    """SpiceDB answers FAILED_PRECONDITION for some seconds after its schema was written."""
    before = undecided(grpc.StatusCode.FAILED_PRECONDITION)
    gate = Gate(minimize_latency=before, fully_consistent=YES, at_least_as_fresh=before)
    assert gate.check() is True
    assert gate.at_least() is True


def test_a_schema_that_is_missing_is_no_no() -> None:
    missing = undecided(grpc.StatusCode.FAILED_PRECONDITION)
    gate = Gate(minimize_latency=missing, fully_consistent=missing, at_least_as_fresh=missing)
    with pytest.raises(AuthzUnavailable, match="refuses to decide"):
        gate.check()
    with pytest.raises(AuthzUnavailable, match="refuses to decide"):
        gate.at_least()


def test_what_spicedb_calls_invalid_is_a_no() -> None:
    invalid = undecided(grpc.StatusCode.INVALID_ARGUMENT)
    gate = Gate(minimize_latency=invalid, fully_consistent=invalid, at_least_as_fresh=invalid)
    assert gate.check() is False
    assert gate.at_least() is False


def test_no_more_is_remembered_than_allowed() -> None:
    gate = Gate(cache_size=2, at_least_as_fresh=YES, minimize_latency=NO, fully_consistent=NO)
    resources = [f"node:0190aaaa-0000-7000-8000-00000000000{digit}" for digit in range(5)]
    for resource in resources:
        gate.at_least(resource=resource)
        gate.check(resource=resource)
    assert len(gate.checker._allowed_at._tokens) == 2
    assert len(gate.checker._denials._entries) == 2
    gate.at_least(resource=resources[0])
    assert gate.channel.asked.count(AT_LEAST) == 6


ODD = ["", " ", "a b", "*", "é", "a" * 1025, "a#agent", "a:b", "a@b", "a.b", "a\n", "\0"]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_a_name_that_spicedb_cannot_hold_is_a_no_without_a_question(odd: str) -> None:
    gate = Gate()
    assert gate.check(Principal(PrincipalKind.USER, odd)) is False
    assert gate.check(resource=f"node:{odd}") is False
    assert gate.at_least(resource=f"node:{odd}") is False
    assert gate.channel.requests == []


@pytest.mark.parametrize("relation", ["", "node agent", "Node-Agent", "-", "a" * 65])
def test_a_relation_that_cannot_exist_is_a_fault_and_no_no(relation: str) -> None:
    gate = Gate()
    with pytest.raises(AuthzUnavailable):
        gate.checker.check(NODE, relation, OBJECT, gate.deadline())
    assert gate.channel.requests == []


def failing(gate: Gate, ask: Callable[[], bool]) -> None:
    with pytest.raises(AuthzUnavailable):
        ask()


def test_a_failed_question_gives_its_permit_back() -> None:
    gate = Gate(minimize_latency=AWAY, at_least_as_fresh=AWAY)
    for _ in range(10):
        failing(gate, gate.check)
        failing(gate, gate.at_least)
    gate.channel.answers[MINIMIZE] = YES
    assert gate.check() is True
