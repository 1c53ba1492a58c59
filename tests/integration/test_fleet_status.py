"""``plexsphere-state fleet status``: last grants compared with pulls of now."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from db.audit_batches import AuditBatchWriter, QueuedRow
from db.pool import read_pool
from server.cli.failures import Failure
from server.cli.options import seconds
from tests.command_runs import failed, run
from tests.factories import key_bytes
from tests.integration.ledger_audit import batch_of, own_pull
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time
from tests.pulls import Puller

pytest_plugins = "tests.integration.ledger_fixtures"


class Fleet:
    """A Domain of five Nodes that pull when ``pull`` is called."""

    def __init__(self, dsn: str, hand: Hand) -> None:
        self.dsn = dsn
        self.hand = hand
        self.domain = hand.domain()
        self.nodes = [hand.node(self.domain, number) for number in range(1, 6)]
        self.pool = read_pool(dsn, 1, 5.0)
        self._puller = Puller(self.pool)
        self._writer = AuditBatchWriter(dsn, "test", time.monotonic)

    def pull(self, *numbers: int, ago: float = 0.0, **fields: Any) -> None:
        """A real pull each, recorded as the service records it, but for ``fields``."""
        rows = []
        for number in numbers:
            node = self.nodes[number]
            digest = self._puller.pull(str(node)).digest
            assert digest
            rows.append(QueuedRow(time.monotonic() - ago, own_pull(node, digest, **fields)))
        self._writer.write(batch_of(rows), in_time())

    def registered(self, ago: str) -> None:
        self.hand.run("UPDATE plexsphere.nodes SET created_at = now() - %s::interval", ago)

    def changes(self) -> None:
        """A peer of everybody gets another key."""
        self.hand.run(
            "UPDATE plexsphere.nodes SET public_key = %s WHERE id = %s",
            key_bytes(99),
            self.nodes[4],
        )

    def corrupt(self, number: int) -> None:
        self.hand.insert(
            "policy_compiled_ruleset",
            node_id=self.nodes[number],
            policy_id=uuid4(),
            revision_id=uuid4(),
            rule_payload=b"{}\n",
            fingerprint=b"another",
        )

    def status(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code and the JSON."""
        result = run(
            "fleet", "status", "--domain", str(self.domain), "--json", *arguments,
            PLEXSPHERE_DSN=self.dsn,
        )  # fmt: skip
        return result.exit_code, json.loads(result.stdout)

    def states(self) -> list[str]:
        """By Node, in the order of ``nodes``."""
        found = {node["node_id"]: node["state"] for node in self.status()[1]["nodes"]}
        return [found[str(node)] for node in self.nodes]


@pytest.fixture
def fleet(ledger_dsn: str, hand: Hand) -> Iterator[Fleet]:
    made = Fleet(ledger_dsn, hand)
    yield made
    made.pool.close()


def test_a_node_is_current_from_its_pull_until_something_changes(fleet: Fleet) -> None:
    assert fleet.states() == ["never"] * 5
    fleet.pull(0, 1, 2, 3, 4)
    assert fleet.states() == ["current"] * 5
    fleet.changes()
    # The Node's own key is no part of its own desired state, but of the Domain's peers digest.
    assert fleet.states() == ["behind"] * 5
    fleet.pull(1, 3)
    assert fleet.states() == ["behind", "current", "behind", "current", "behind"]


def test_pulls_of_others_and_heads_leave_a_node_behind(fleet: Fleet) -> None:
    fleet.pull(0, 1, 2, 3, 4)
    fleet.changes()
    fleet.pull(0, subject="user:ann")
    fleet.pull(1, digest=None)
    fleet.pull(2)
    assert fleet.states() == ["behind", "behind", "current", "behind", "behind"]


@pytest.mark.parametrize("word", ["healthy", "stale", "unreachable"])
def test_heartbeats_and_reachability_leave_a_node_current(fleet: Fleet, word: str) -> None:
    """The word is in the digest, and is no part of what the Node should run."""
    fleet.pull(0, 1, 2, 3, 4)
    fleet.hand.run(
        "UPDATE plexsphere.nodes SET last_heartbeat_at = now(), reachability_state = %s", word
    )
    code, found = fleet.status("--max-age", "0")
    assert (code, found["summary"]["current"], found["summary"]["late"]) == (0, 5, 0)
    assert all(node["digest"] != node["current_digest"] for node in found["nodes"])
    fleet.pull(0)
    fleet.hand.run("UPDATE plexsphere.nodes SET reachability_state = ''")
    assert fleet.states()[0] == "current"


def test_reachability_hides_no_change(fleet: Fleet) -> None:
    fleet.pull(0, 1, 2, 3, 4)
    fleet.hand.run("UPDATE plexsphere.nodes SET reachability_state = 'stale'")
    fleet.changes()
    assert fleet.states() == ["behind"] * 5


def test_a_node_whose_rows_make_no_snapshot_is_corrupt(fleet: Fleet) -> None:
    fleet.pull(0, 1)
    fleet.corrupt(1)
    found = fleet.status()[1]
    assert fleet.states()[:3] == ["current", "corrupt", "never"]
    assert [node["current_digest"] for node in found["nodes"]].count(None) == 1


def test_the_worst_come_first_and_are_counted(fleet: Fleet) -> None:
    fleet.registered("2 minutes")
    fleet.pull(0, ago=3600)
    fleet.pull(1, ago=60)
    fleet.pull(2, ago=7200)
    fleet.changes()
    fleet.pull(3)
    code, found = fleet.status()
    order = [fleet.nodes.index(UUID(node["node_id"])) for node in found["nodes"]]
    assert order == [2, 0, 4, 1, 3]
    assert found["summary"] == {
        "nodes": 5,
        "current": 1,
        "behind": 3,
        "never": 1,
        "corrupt": 0,
        "late": 2,
    }
    assert [node["late"] for node in found["nodes"]] == [True, True, False, False, False]
    assert code == 1


def test_a_corrupt_node_comes_before_all_others(fleet: Fleet) -> None:
    fleet.registered("2 days")
    fleet.pull(3)
    fleet.corrupt(3)
    nodes = fleet.status()[1]["nodes"]
    assert [node["state"] for node in nodes] == ["corrupt", *["never"] * 4]
    assert nodes[0]["behind_seconds"] < nodes[1]["behind_seconds"]


def test_the_times_of_the_last_grant_are_listed(fleet: Fleet) -> None:
    fleet.pull(0, ago=7200)
    fleet.pull(0, ago=3600)
    node = next(shown for shown in fleet.status()[1]["nodes"] if shown["state"] == "current")
    assert (node["silent_seconds"] // 60, node["behind_seconds"]) == (60, None)
    assert node["digest"] == node["current_digest"]
    assert node["since"] < node["granted_at"]


def test_the_last_heartbeat_is_listed_beside_the_last_grant(fleet: Fleet) -> None:
    fleet.pull(0, ago=60)
    fleet.hand.run(
        "UPDATE plexsphere.nodes SET last_heartbeat_at = now() - interval '2 hours' WHERE id = %s",
        fleet.nodes[0],
    )
    nodes = {shown["node_id"]: shown for shown in fleet.status()[1]["nodes"]}
    node, other = nodes[str(fleet.nodes[0])], nodes[str(fleet.nodes[1])]
    assert (node["heartbeat_seconds"] // 60, node["silent_seconds"] // 60) == (120, 1)
    assert (other["heartbeat_at"], other["heartbeat_seconds"]) == (None, None)
    result = run(
        "fleet", "status", PLEXSPHERE_DSN=fleet.dsn, PLEXSPHERE_DOMAIN_ID=str(fleet.domain),
        COLUMNS="250",
    )  # fmt: skip
    assert "2 h" in result.stdout


def test_missing_grants_are_explained(fleet: Fleet) -> None:
    """As where the service runs with PLEXSPHERE_AUDIT=0, from the start or from some day on."""
    assert "none has pulled yet, or the audit is off" in fleet.status()[1]["gap"]
    result = run(
        "fleet", "status", PLEXSPHERE_DSN=fleet.dsn, PLEXSPHERE_DOMAIN_ID=str(fleet.domain)
    )
    assert "PLEXSPHERE_AUDIT" in result.stdout
    fleet.pull(0, ago=240)
    fleet.hand.run("UPDATE plexsphere.nodes SET last_heartbeat_at = now()")
    assert fleet.status()[1]["gap"] is None
    fleet.hand.run("UPDATE plexsphere.nodes SET last_heartbeat_at = now() + interval '2 minutes'")
    assert "no grant was recorded since" in fleet.status()[1]["gap"]


def test_a_node_that_is_silent_and_current_is_not_late(fleet: Fleet) -> None:
    fleet.pull(0, 1, 2, 3, 4, ago=86_400)
    code, found = fleet.status()
    assert (code, found["summary"]["current"], found["summary"]["late"]) == (0, 5, 0)


@pytest.mark.parametrize(("age", "code"), [("59m", 1), ("3500", 1), ("61m", 0), ("2h", 0)])
def test_the_exit_code_follows_max_age(fleet: Fleet, age: str, code: int) -> None:
    fleet.pull(0, 1, 2, 3, 4, ago=3600)
    fleet.changes()
    assert fleet.status("--max-age", age)[0] == code


def test_a_node_that_never_pulled_counts_from_its_registration(fleet: Fleet) -> None:
    assert fleet.status()[0] == 0
    fleet.registered("6 minutes")
    assert fleet.status()[0] == 1


def test_people_see_a_bar_a_sentence_and_a_table(fleet: Fleet) -> None:
    fleet.pull(0, 1, 2)
    fleet.corrupt(3)
    result = run(
        "fleet", "status", "--limit", "2", PLEXSPHERE_DSN=fleet.dsn,
        PLEXSPHERE_DOMAIN_ID=str(fleet.domain),
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == f"Domain  {fleet.domain}  5 Nodes"
    assert (len(lines[1]), set(lines[1])) == (60, set("█░×"))
    assert lines[2] == "3 current  0 behind  1 never  1 corrupt  0 for longer than 5 min"
    assert lines[-1] == "and 3 Nodes more: --limit 0 shows all."
    assert sum(str(node) in result.stdout for node in fleet.nodes) == 2


def test_a_domain_without_nodes_ends_with_0(fleet: Fleet) -> None:
    empty = fleet.hand.domain()
    result = run("fleet", "status", "--domain", str(empty), PLEXSPHERE_DSN=fleet.dsn)
    assert (result.exit_code, result.stdout) == (0, f"Domain  {empty}  0 Nodes\n")


def test_several_domains_are_listed_where_none_is_named(fleet: Fleet) -> None:
    fleet.hand.domain()
    result = run("fleet", "status", PLEXSPHERE_DSN=fleet.dsn)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "several Domains" in result.stderr and result.stderr.count("\n") >= 3


def test_an_unknown_domain_is_a_failure(fleet: Fleet) -> None:
    unreal = uuid4()
    result = run("fleet", "status", "--domain", str(unreal), PLEXSPHERE_DSN=fleet.dsn)
    assert f"the ledger has no Domain {unreal}" in failed(result, 3)


@pytest.mark.parametrize("text", ["", "5 m", "-1s", "1w", "5min", "1e3"])
def test_a_malformed_max_age_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        seconds(text, "--max-age")
