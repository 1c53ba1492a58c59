"""The reasons of ``relay --once`` for rows that are left, a line each."""

from __future__ import annotations

import pytest

from db.locks import LockHolder
from db.outbox import OutboxLag
from server.cli.relay import SHOWN, reasons

RELAY = LockHolder(7, "plexsphere-state relay", 12)


@pytest.mark.parametrize(
    ("lag", "lock_holders", "deferred", "sentences"),
    [
        (
            OutboxLag(1, 9.0, 0),
            [RELAY],
            {},
            ["locked by plexsphere-state relay (pid 7) for 12 s, which waits for SpiceDB"],
        ),
        (
            OutboxLag(1, 9.0, 0),
            [],
            {"node:x": "FAILED_PRECONDITION"},
            ["node:x waits for SpiceDB's schema (FAILED_PRECONDITION)"],
        ),
        (OutboxLag(1, 0.1, 0), [], {}, ["written while this command ran"]),
        (OutboxLag(0, 0.0, 2), [], {}, ["authz repair"]),
        (OutboxLag(1, 9.0, 1), [LockHolder(8, "", 3)], {}, ["a session (pid 8)", "authz repair"]),
    ],
    ids=["held", "deferred", "meanwhile", "parked", "both"],
)
def test_every_reason_is_a_line(
    lag: OutboxLag, lock_holders: list[LockHolder], deferred: dict[str, str], sentences: list[str]
) -> None:
    lines = reasons(lag, lock_holders, deferred)
    assert len(lines) == len(sentences)
    assert [words in line for words, line in zip(sentences, lines, strict=True)] == [True] * len(
        lines
    )


def test_many_objects_are_counted_and_control_characters_escaped() -> None:
    deferred = {f"node:\x1b{number}": "no" for number in range(SHOWN + 1_000)}
    lines = reasons(OutboxLag(len(deferred), 9.0, 0), [], deferred)
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "  and 1,000 more objects"
    assert "\x1b" not in "".join(lines)
