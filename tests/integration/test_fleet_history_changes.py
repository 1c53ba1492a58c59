"""``plexsphere-state fleet history``: what changed between the bodies that are kept of a Node."""

from __future__ import annotations

import json
import zlib
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import Result

from server.cli.failures import ExitCode
from tests.command_runs import run
from tests.integration.ledger_rows import Hand
from tests.unit.test_cli_differences import plain_node

pytest_plugins = "tests.integration.ledger_fixtures"

A, B, C, UNKEPT = "aa" * 32, "ab" * 32, "cc" * 32, "dd" * 32
PEER = {"node_id": str(uuid4()), "mesh_ip": "10.42.9.9", "public_key": "bmV3" * 10 + "bmV="}
GRANT = """
INSERT INTO plexsphere.audit_rows (occurred_at, relation, outcome, subject, object, digest)
VALUES (%s, 'node_state.pull', 'granted', %s, %s, %s)
"""


def body(*more: dict[str, str]) -> bytes:
    """A snapshot with these peers alone."""
    return json.dumps({**plain_node(), "peers": list(more)}).encode()


def keep(hand: Hand, node: UUID, minute: int, digest: str, sent: bytes | None) -> None:
    packed = None if sent is None else zlib.compress(sent)
    at = f"2026-11-23 08:0{minute}:00+00"
    hand.insert(
        "node_bodies", node_id=node, digest=digest, served_at=at, bytes=3_000_000, body=packed
    )


@pytest.fixture
def node(hand: Hand) -> UUID:
    """Granted A, one that is not kept, B with a peer more, and A again."""
    granted = hand.node(hand.domain())
    for minute, digest in ((1, A), (2, UNKEPT), (4, B), (6, A)):
        own = f"node:{granted}"
        hand.run(GRANT, f"2026-11-23 08:0{minute}:00+00", own, own, digest)
    keep(hand, granted, 4, B, body(PEER))
    keep(hand, granted, 6, A, body())
    return granted


def history(hand: Hand, node: UUID, *arguments: str) -> Result:
    return run("fleet", "history", str(node), *arguments, PLEXSPHERE_DSN=hand.dsn)


def changes(result: Result) -> list[tuple[str, str, list[str]]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)["changes"]
    return [
        (line["before"], line["after"], [change["kind"] for change in line["blocks"]["peers"]])
        for line in found
    ]


def test_each_kept_body_is_compared_with_the_one_before(hand: Hand, node: UUID) -> None:
    result = history(hand, node, "--json")
    assert changes(result) == [(A, B, ["added"]), (B, A, ["removed"])]
    served = json.loads(result.stdout)["served"]
    assert [body["kept"] for body in served] == [True, False, True, True]
    assert result.exit_code == 0


def test_people_read_what_changed_in_words(hand: Hand, node: UUID) -> None:
    lines = history(hand, node).stdout.splitlines()
    assert [line for line in lines if line.startswith("From")] == [
        f"From  {A[:12]} to {B[:12]}",
        f"From  {B[:12]} to {A[:12]}",
    ]
    assert "peers  1 added" in lines and "peers  1 removed" in lines
    (added,) = (line for line in lines if line.startswith("+ added"))
    assert PEER["node_id"] in added and "mesh_ip=10.42.9.9" in added


def test_the_newest_change_alone_ends_with_1(hand: Hand, node: UUID) -> None:
    result = history(hand, node, "--last")
    assert (result.exit_code, result.stdout.count("From  ")) == (ExitCode.DIFFERENT, 1)
    assert "- removed" in result.stdout


@pytest.mark.parametrize("name", [A[:9], A, f'W/"{A}"', A.upper()], ids=["short", "", "etag", "AA"])
def test_two_digests_are_chosen_by_their_beginnings(hand: Hand, node: UUID, name: str) -> None:
    result = history(hand, node, "--json", "--diff", name, B[:2])
    found = json.loads(result.stdout)
    assert (found["before"], found["after"], found["same"]) == (A, B, False)
    assert result.exit_code == ExitCode.DIFFERENT


def test_a_body_compared_with_itself_ends_with_0(hand: Hand, node: UUID) -> None:
    result = history(hand, node, "--diff", A, A)
    assert (result.exit_code, "no block differs" in result.stdout) == (ExitCode.OK, True)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--diff", UNKEPT, A), ExitCode.REFUSED, "no body is kept of a digest that begins"),
        (("--diff", "W/", A), ExitCode.REFUSED, "no body is kept of a digest that begins"),
        (("--diff", "a", B), ExitCode.USAGE, "2 digests begin with 'a'"),
        (("--diff", C, A), ExitCode.REFUSED, "too large to be kept: 3,000,000 bytes"),
        (("--diff", A, B, "--last"), ExitCode.USAGE, "one of --last and --diff"),
    ],
    ids=["unkept", "empty", "two", "large", "both"],
)
def test_bodies_that_cannot_be_compared_are_a_failure(
    hand: Hand, node: UUID, arguments: tuple[str, ...], code: ExitCode, sentence: str
) -> None:
    keep(hand, node, 7, C, None)
    result = history(hand, node, *arguments)
    assert (result.exit_code, sentence in result.stderr) == (code, True)


def test_a_body_that_was_too_large_is_listed_and_not_compared(hand: Hand, node: UUID) -> None:
    keep(hand, node, 7, UNKEPT, None)
    result = history(hand, node)
    assert (result.exit_code, result.stdout.count("too large")) == (0, 1)
    assert result.stdout.count("From  ") == 2


def test_a_damaged_body_is_a_failure(hand: Hand, node: UUID) -> None:
    hand.run("UPDATE plexsphere.node_bodies SET body = 'x' WHERE node_id = %s", node)
    result = history(hand, node, "--last")
    assert (result.exit_code, f"the kept body of {B}" in result.stderr) == (ExitCode.REFUSED, True)


def test_without_bodies_the_list_says_which_setting_keeps_them(hand: Hand, node: UUID) -> None:
    hand.run("DELETE FROM plexsphere.node_bodies WHERE node_id = %s", node)
    listed, last = history(hand, node), history(hand, node, "--last")
    assert (listed.exit_code, "PLEXSPHERE_HISTORY" in listed.stdout) == (0, True)
    assert (last.exit_code, "PLEXSPHERE_HISTORY" in last.stderr) == (ExitCode.REFUSED, True)
