"""The checks of writes are silent where nothing is wrong, which planted breaches do not show."""

from __future__ import annotations

import json

from tests.factories import node_id
from tests.fuzz.exchange import Exchange
from tests.fuzz.world import World
from tests.fuzz.write_checks import (
    REMEMBERED,
    OneKeyMakesOneObject,
    RemovedStaysGone,
    subject_of,
)

WORLD = World({}, {}, "stranger")
NODE = f"/v1/nodes/{node_id(1)}"
ENTRY = f"{NODE}/state/data/dns"


def answer(method: str, path: str, status: int, key: str = "", made: str = "") -> Exchange:
    body = json.dumps({"id": made}).encode()
    received = {"x-correlation-id": "a", "content-type": "application/json"}
    return Exchange(method, path, {"idempotency-key": key} if key else {}, status, received, body)


def test_an_entry_that_is_put_again_may_be_removed_again() -> None:
    check = RemovedStaysGone()
    for method, status in (("DELETE", 204), ("PUT", 200), ("DELETE", 204)):
        assert check(answer(method, ENTRY, status), WORLD) is None


def test_nothing_below_what_was_removed_is_there_and_a_refusal_is_no_answer() -> None:
    check = RemovedStaysGone()
    assert check(answer("DELETE", f"{NODE}?", 204), WORLD) is None
    assert check(answer("GET", f"{NODE}/state", 403), WORLD) is None
    assert check(answer("GET", f"{NODE}/state", 200), WORLD) is not None
    assert check(answer("PUT", ENTRY, 200), WORLD) is not None
    assert check(answer("GET", f"{NODE}0/state", 200), WORLD) is None


def test_a_key_finds_what_it_made_and_makes_another_elsewhere() -> None:
    check = OneKeyMakesOneObject()
    made = ("POST", "/v1/domains", 201, "key")
    for again in range(2):
        assert check(answer(*made[:2], 200 if again else 201, "key", "a"), WORLD) is None
    assert check(answer("POST", f"/v1/domains/{node_id(2)}/nodes", 201, "key", "b"), WORLD) is None
    assert check(answer("POST", "/v1/domains", 409, "key", "b"), WORLD) is None
    assert check(answer(*made, "b"), WORLD) is not None


def test_only_the_latest_are_remembered() -> None:
    check = OneKeyMakesOneObject()
    for number in range(REMEMBERED + 1):
        check(answer("POST", "/v1/domains", 201, str(number), "a"), WORLD)
    assert check(answer("POST", "/v1/domains", 201, "0", "b"), WORLD) is None
    assert check(answer("POST", "/v1/domains", 201, str(REMEMBERED), "b"), WORLD) is not None


def test_a_token_that_is_none_is_nobodys() -> None:
    for text in ("", "a", "a.b.c", "e30.e30.", "e30.W10."):
        assert subject_of(text) is None
