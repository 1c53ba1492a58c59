"""Both sides of the validation bench validate: what one refuses, the other refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.bench.validation import CONTRACT, cost, other_validator, pulls
from tests.golden.pull import kept


def richest() -> dict[str, Any]:
    """A golden body with every block."""
    bodies = [json.loads(body) for body in kept().values()]
    return max(bodies, key=lambda body: len(json.dumps(body)))


def broken(path: str, value: Any) -> dict[str, Any]:
    body = richest()
    *way, last = (int(part) if part.isdigit() else part for part in path.split("/"))
    holder: Any = body
    for part in way:
        holder = holder[part]
    assert holder[last] != value
    holder[last] = value
    return body


def ours(body: dict[str, Any]) -> bool:
    media = CONTRACT.operations["GetNodeState"].responses[200].media["application/json"]
    return media.validator.is_valid(body)


def test_a_sound_snapshot_is_sound_to_both() -> None:
    assert ours(richest()) and other_validator().is_valid(richest())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("peers/0/node_id", "0190b2c4-8d5e-7000-8000-00000000000g"),
        ("peers/0/public_key", "x" * 44),
        ("reachability/changed_at", "2026-02-30T08:00:00Z"),
        ("policy/fingerprint", "?" * 44),
        ("bridge/relay/listen_port", 2**31),
        ("bridge/relay/enabled", None),
        ("policy", 1),
        ("state/metadata", None),
    ],
)
def test_what_is_wrong_is_wrong_to_both(path: str, value: Any) -> None:
    body = broken(path, value)
    assert (ours(body), other_validator().is_valid(body)) == (False, False)


@pytest.mark.parametrize("name", ["uuid", "byte", "date-time", "int32"])
def test_every_format_of_the_file_is_asserted_in_the_others_way_too(name: str) -> None:
    """By its name alone, without the pattern and the bounds that stand beside it."""
    wrong: dict[str, Any] = {"int32": 2**31}
    bare = other_validator().evolve(schema={"format": name})
    assert not bare.is_valid(wrong.get(name, "never"))


def test_every_size_has_four_figures() -> None:
    found = cost(2, seconds=0.0)
    assert min(found.ours_cold, found.ours_warm, found.other_cold, found.other_warm) > 0
    assert len(json.loads(next(pulls(3)).to_bytes())["peers"]) == 2
