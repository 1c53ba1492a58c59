"""Cases that write are aimed at objects of their own, and never at one that was there before."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.client import Reply, bearer
from tests.factories import node_id
from tests.fuzz.exchange import CONTRACT, Exchange
from tests.fuzz.scratch import REMOVALS, WRITES, Scratch
from tests.fuzz.supply import ROOM, Supply
from tests.fuzz.world import NOWHERE, World
from tests.fuzz.writing import Writing

SAMPLE = str(node_id(1))
HOME = str(node_id(2))
HELD = tuple(str(node_id(number)) for number in range(10, 14))
WORLD = World(
    tokens={SAMPLE: "agent", **{node_id: f"agent of {node_id}" for node_id in HELD}},
    digests={SAMPLE: ""},
    stranger="stranger",
    operator="operator",
    scratch=Scratch(home=HOME, rotating=[HELD[0]], nodes=[HELD[0]], holding=HELD),
    kept=[SAMPLE, HOME, *HELD],
)
REMOVED = ("DeleteNode", "DeleteDomain", *REMOVALS)


@dataclass
class Case:
    path_parameters: dict[str, str]
    headers: dict[str, str]
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None


def case_of(name: str, token: str | None = None) -> Case:
    """Aimed at the sample, by who may."""
    in_path = [
        parameter.name
        for parameter in CONTRACT.operations[name].parameters
        if parameter.kind == "path"
    ]
    values = {name: "k" if name == "key" else SAMPLE for name in in_path}
    return Case(values, bearer(token or str(WORLD.permitted(name, SAMPLE))))


def making(times: int) -> Callable[..., Reply]:
    """A service that makes so many objects, then no more."""
    numbers = iter(range(100, 100 + times))

    def send(*request: object) -> Reply:
        number = next(numbers, None)
        if number is None:
            return Reply(503, {}, b"{}")
        made = str(node_id(number))
        return Reply(201, {}, json.dumps({"node_id": made, "id": made}).encode())

    return send


def answered(supply: Supply, name: str, case: Case, status: int) -> None:
    operation = CONTRACT.operations[name]
    path = operation.path.format(**case.path_parameters)
    mark = {"x-correlation-id": "a"}
    supply.answered(Exchange(operation.method, path, {}, status, mark, b""))


@pytest.mark.parametrize("name", WRITES)
def test_what_was_there_before_is_never_written_to(name: str) -> None:
    for times in (0, 1, 99):
        writing = Writing(WORLD, Supply(WORLD, making(times)))
        for valid in (True, False):
            case = case_of(name)
            writing.prepare(name, case, valid, "")
            assert SAMPLE not in case.path_parameters.values()


@pytest.mark.parametrize("name", REMOVED)
def test_with_a_supply_of_one_the_second_removal_is_of_nothing_and_not_valid(name: str) -> None:
    supply = Supply(WORLD, making(1))
    writing = Writing(WORLD, supply)
    first, second = case_of(name), case_of(name)
    assert writing.prepare(name, first, True, "")
    answered(supply, name, first, 204)
    assert not writing.prepare(name, second, True, "")
    assert first.path_parameters != second.path_parameters
    assert NOWHERE in second.path_parameters.values()
    assert second.path_parameters.get("key", "k") == "k"


@pytest.mark.parametrize("name", REMOVED)
def test_with_a_supply_that_lasts_every_removal_has_an_object(name: str) -> None:
    supply = Supply(WORLD, making(99))
    writing = Writing(WORLD, supply)
    for _ in range(20):
        case = case_of(name)
        assert writing.prepare(name, case, True, "")
        assert NOWHERE not in case.path_parameters.values()
        answered(supply, name, case, 204)


def test_a_case_that_was_refused_leaves_its_object_to_the_next() -> None:
    supply = Supply(WORLD, making(2))
    writing = Writing(WORLD, supply)
    seen = []
    for status in (403, 204, 403, 503):
        case = case_of("DeleteNode")
        writing.prepare("DeleteNode", case, True, "")
        answered(supply, "DeleteNode", case, status)
        seen.append(case.path_parameters["id"])
    assert seen[0] == seen[1] != seen[2] == seen[3]


def test_registrations_move_to_a_new_domain_before_the_answers_grow_long() -> None:
    writing = Writing(WORLD, Supply(WORLD, making(1)))
    homes = []
    for _ in range(2 * ROOM + 1):
        case = case_of("RegisterNode")
        writing.prepare("RegisterNode", case, True, "")
        homes.append(case.path_parameters["domain_id"])
    assert [homes.count(home) for home in dict.fromkeys(homes)] == [ROOM, ROOM + 1]
    assert homes[0] == HOME


def test_a_service_that_cannot_be_reached_makes_nothing() -> None:
    def unreachable(*request: object) -> Reply:
        raise ConnectionRefusedError

    assert Supply(WORLD, unreachable).removable("DeleteNode", "") is None


def test_the_token_of_who_may_follows_the_object_and_a_strangers_stays() -> None:
    for token, expected in ((None, f"agent of {HELD[0]}"), ("stranger", "stranger")):
        case = case_of("RotateNodeKey", token)
        Writing(WORLD, Supply(WORLD, making(0))).prepare("RotateNodeKey", case, True, "")
        assert case.path_parameters == {"id": HELD[0]}
        assert case.headers == bearer(expected)


def test_a_key_that_may_be_what_is_wrong_with_a_case_stays() -> None:
    case = case_of("DeleteNodeData")
    Writing(WORLD, Supply(WORLD, making(1))).prepare("DeleteNodeData", case, False, "")
    assert case.path_parameters == {"id": HELD[2], "key": "k"}
