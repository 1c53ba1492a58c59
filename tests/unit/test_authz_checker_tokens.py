"""The checker and ZedTokens: its questions, and the decisions that it remembers."""

import grpc
import pytest

from composer.errors import AuthzUnavailable
from tests.scripted_spicedb import AT_LEAST, FULLY, NO, YES, Gate, undecided


def test_a_store_behind_the_token_does_not_decide() -> None:
    behind = undecided(grpc.StatusCode.OUT_OF_RANGE)
    gate = Gate(at_least_as_fresh=behind, fully_consistent=YES)
    with pytest.raises(AuthzUnavailable, match="behind the ledger"):
        gate.at_least()
    assert gate.channel.asked == [AT_LEAST]


def test_a_token_that_spicedb_cannot_read_is_asked_as_now() -> None:
    gate = Gate(at_least_as_fresh=undecided(grpc.StatusCode.INVALID_ARGUMENT), fully_consistent=YES)
    assert gate.at_least("garbage") is True
    assert gate.channel.asked == [AT_LEAST, FULLY]
    assert gate.at_least("garbage") is True
    assert len(gate.channel.asked) == 2


def test_a_yes_at_a_token_is_free_from_then_on() -> None:
    gate = Gate(at_least_as_fresh=YES)
    for _ in range(5):
        assert gate.at_least("t1") is True
    assert gate.channel.asked == [AT_LEAST]
    assert gate.channel.requests[0].consistency.at_least_as_fresh.token == "t1"


def test_a_yes_at_one_token_is_none_at_another() -> None:
    gate = Gate(at_least_as_fresh=YES, fully_consistent=NO)
    assert gate.at_least("t1") is True
    gate.channel.answers[AT_LEAST] = NO
    assert gate.at_least("t2") is False
    assert gate.at_least("t1") is False  # a revocation also takes back what was remembered


def test_a_no_at_a_token_is_confirmed_before_it_counts() -> None:
    """An old token allows a revision from before a grant that gate 2 has already seen."""
    gate = Gate(at_least_as_fresh=NO, fully_consistent=YES)
    assert gate.at_least() is True
    assert gate.channel.asked == [AT_LEAST, FULLY]


def test_a_no_at_a_token_is_not_remembered() -> None:
    gate = Gate(at_least_as_fresh=NO, fully_consistent=NO)
    assert gate.at_least() is False
    gate.channel.answers[AT_LEAST] = YES
    assert gate.at_least() is True
