"""Two refusals are alike only where all but their own path and correlation id is the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Reply

PROBLEM = {"title": "Forbidden", "status": 403, "instance": "/v1/a", "correlation_id": "1"}


def refusal(changes: dict[str, Any] | None = None, **headers: str) -> Reply:
    body = json.dumps(PROBLEM | (changes or {}), separators=(",", ":")).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {"date": "now", "content-length": str(len(body)), "x-correlation-id": "1"}
    return Reply(403, sent | named, body)


def test_only_the_path_and_the_correlation_id_may_differ() -> None:
    other = refusal({"instance": "/v1/longer", "correlation_id": "2"}, x_correlation_id="2")
    assert other.body != refusal().body
    assert other.alike() == refusal().alike()


OTHERS: dict[str, Callable[[], Reply]] = {
    "a word": lambda: refusal({"title": "forbidden"}),
    "a key more": lambda: refusal({"code": "x"}),
    "a header more": lambda: refusal(x_found="1"),
    "a header's value": lambda: refusal(content_length="999"),
    "a space": lambda: Reply(
        403, refusal().headers, refusal().body.replace(b'"status":403', b'"status": 403')
    ),
    "the status": lambda: Reply(404, refusal().headers, refusal().body),
    "the order of headers": lambda: Reply(
        403, dict(reversed(refusal().headers.items())), refusal().body
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_that_differs_is_seen(name: str) -> None:
    assert OTHERS[name]().alike() != refusal().alike()


def test_a_path_that_is_written_twice_is_not_blanked_twice() -> None:
    twice = refusal({"detail": "x", "nested": {"instance": "/v1/a"}})
    with pytest.raises(AssertionError, match="instance"):
        twice.blanked()
