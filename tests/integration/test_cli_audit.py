"""``plexsphere-state audit`` on a ledger of days: its filters, and ``prune``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import Result

from tests.command_runs import failed, run
from tests.integration.ledger_rows import Hand

if TYPE_CHECKING:
    from tests.integration.ledger_fixtures import FreshDatabase

pytest_plugins = "tests.integration.ledger_fixtures"

INSERT = """
INSERT INTO plexsphere.audit_rows (occurred_at, domain_id, relation, outcome, subject, object)
VALUES (now() - %s::interval, %s, 'node_state.pull', 'granted', 'user:ann', %s)
"""

REFUSAL = """
INSERT INTO plexsphere.audit_rows (relation, outcome, subject, object)
VALUES ('node_state.pull', 'insufficient_relation', %s, 'node:9')
"""


@pytest.fixture
def hand(migrated_database: FreshDatabase) -> Iterator[Hand]:
    """Rows of 60, 40 and 0 days ago; the first day has no partition."""
    dsn = migrated_database()
    with closing(Hand(dsn)) as made:
        made.run("SELECT plexsphere.make_audit_days((now() AT TIME ZONE 'UTC')::date - 40, 1)")
        for days in (60, 40, 0):
            made.run(INSERT, f"{days} days", None, f"d-{days}")
        yield made


def audit(hand: Hand, *arguments: str) -> Result:
    return run("audit", *arguments, PLEXSPHERE_DSN=hand.dsn)


def objects(result: Result) -> list[str]:
    assert result.exit_code == 0
    return [json.loads(line)["object"] for line in result.stdout.splitlines()]


def pruned(hand: Hand, *arguments: str) -> Any:
    result = audit(hand, "prune", "--older-than", "30d", "--json", *arguments)
    return json.loads(result.stdout)


def test_rows_of_all_days_are_shown_in_sequence(hand: Hand) -> None:
    assert objects(audit(hand, "--json")) == ["d-60", "d-40", "d-0"]


def test_rows_are_found_by_their_domain(hand: Hand) -> None:
    first, other = hand.domain(), hand.domain()
    for domain, name in ((first, "mine"), (other, "theirs"), (first, "mine too")):
        hand.run(INSERT, "0 days", domain, name)
    assert objects(audit(hand, "--json", "--domain", str(first))) == ["mine", "mine too"]


def test_rows_since_an_age_are_shown(hand: Hand) -> None:
    assert objects(audit(hand, "--json", "--since", "41d")) == ["d-40", "d-0"]


def test_a_summary_counts_rows_by_relation_subject_and_object(hand: Hand) -> None:
    for subject in ("user:bob", "user:eve", "user:eve"):
        hand.run(REFUSAL, subject)
    found = json.loads(audit(hand, "--summary", "--json").stdout)
    assert found["rows"] == 4
    counts = [
        (count["relation"], count["outcome"], count["rows"]) for count in found["by_relation"]
    ]
    assert counts == [
        ("node_state.pull", "insufficient_relation", 3),
        ("node_state.pull", "granted", 1),
    ]
    subjects = [(count["subject"], count["rows"]) for count in found["by_subject"]]
    assert subjects == [("user:eve", 2), ("user:ann", 1), ("user:bob", 1)]
    assert [(count["object"], count["rows"]) for count in found["by_object"]] == [
        ("node:9", 3),
        ("d-0", 1),
    ]


def test_a_summary_obeys_filters_its_age_and_its_limit(hand: Hand) -> None:
    for subject in ("user:bob", "user:eve", "user:eve"):
        hand.run(REFUSAL, subject)
    arguments = ("--outcome", "insufficient_relation", "--since", "50d", "--limit", "1")
    lines = audit(hand, "--summary", *arguments).stdout.splitlines()
    assert lines[0] == "3 rows  in the last 50 d"
    assert [line.split()[0] for line in lines if "insufficient_relation" in line] == ["3", "2", "3"]
    assert lines[-1].endswith("node:9")
    granted = json.loads(audit(hand, "--summary", "--json", "--since", "50d").stdout)
    assert granted["rows"] == 5
    assert json.loads(audit(hand, "--summary", "--json", "--limit", "0").stdout) == {
        "rows": 4,
        "by_relation": [],
        "by_subject": [],
        "by_object": [],
    }


UNKNOWN = "0190ffff-0000-7000-8000-0000000000ff"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--relation", "node_state.pul"),
        ("--outcome", "refused"),
        ("--subject", "user:nobody"),
        ("--node", UNKNOWN),
        ("--domain", UNKNOWN),
    ],
)
def test_a_value_that_exists_nowhere_is_an_error(hand: Hand, option: str, value: str) -> None:
    for arguments in ((), ("--summary",)):
        sentence = failed(audit(hand, option, value, *arguments), 2)
        assert f"no audit row has {option} {'node:' * (option == '--node')}{value}" in sentence


def test_a_node_a_domain_and_a_value_without_a_row_are_no_error(hand: Hand) -> None:
    domain = hand.domain()
    node = hand.node(domain)
    assert objects(audit(hand, "--json", "--node", str(node))) == []
    assert objects(audit(hand, "--json", "--domain", str(domain))) == []
    assert objects(audit(hand, "--json", "--subject", "user:ann", "--node", str(node))) == []
    assert objects(audit(hand, "--json", "--outcome", "granted_stale")) == []
    assert audit(hand, "--summary", "--node", str(node)).exit_code == 0


def test_prune_without_yes_only_shows_the_rows(hand: Hand) -> None:
    result = audit(hand, "prune", "--older-than", "30d")
    assert (result.exit_code, "2 rows older than that" in result.stdout) == (0, True)
    assert "to drop" in result.stdout and "add --yes" in result.stdout
    assert objects(audit(hand, "--json")) == ["d-60", "d-40", "d-0"]


def test_prune_with_yes_removes_the_rows_and_shows_them(hand: Hand) -> None:
    would = pruned(hand)
    done = pruned(hand, "--yes")
    assert (would["dry_run"], len(would["old"]), would["stray_rows"]) == (True, 1, 1)
    assert (done["dry_run"], done["dropped"], done["in_use"]) == (False, would["old"], [])
    assert (done["dropped"][0]["rows"], done["stray_rows"]) == (1, 1)
    assert objects(audit(hand, "--json")) == ["d-0"]
    again = audit(hand, "prune", "--older-than", "4w", "--yes")
    assert (again.exit_code, "0 rows removed" in again.stdout) == (0, True)


def test_prune_keeps_a_day_in_use_and_names_the_session(hand: Hand) -> None:
    with closing(hand.session()) as session, session.cursor() as reading:
        reading.execute("SET application_name TO 'a long report'")
        reading.execute("SELECT count(*) FROM plexsphere.audit_rows")
        result = audit(hand, "prune", "--older-than", "30d", "--yes", "--wait", "0")
    assert (result.exit_code, "in use, kept" in result.stdout) == (1, True)
    assert "in use by a long report (pid" in result.stdout
    assert objects(audit(hand, "--json")) == ["d-40", "d-0"]


@pytest.mark.parametrize("age", ["", "30", "0d", "-1d", "1h", "30 days", "٣d", "1e3d", "123456d"])
def test_a_malformed_age_is_a_usage_error(hand: Hand, age: str) -> None:
    assert "--older-than must be days or weeks" in failed(
        audit(hand, "prune", f"--older-than={age}"), 2
    )
