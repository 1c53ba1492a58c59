"""`fleet simulate` against the real service: registered, ticking, adopted again, proven."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from server.dev.stack import Stack
from server.fleet.agents import Agent
from server.fleet.enrolment import (
    EnrolmentError,
    FleetEnrolment,
    Members,
    enrol,
    members_of,
    remove,
)
from server.fleet.proof import Proof, prove, unequal
from tests.bodies import JSON, body_now
from tests.client import ask, bearer
from tests.stacks import running_stack

NODES, DOMAINS = 12, 2
# Where the tests run in the background Ctrl-C is ignored, and a child inherits that.
CODE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from server.cli import main
main()
"""


@pytest.fixture(scope="module")
def fleet_stack() -> Iterator[Stack]:
    with running_stack("fleet", nodes=1) as stack:
        yield stack


def simulate(stack: Stack, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE, "fleet", "simulate", *words],
        env={"PATH": "/usr/bin:/bin", **stack.env, **stack.identities, **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def simulated(stack: Stack, *words: str) -> dict[str, Any]:
    sizes = ("--nodes", str(NODES), "--domains", str(DOMAINS), "--seconds", "1", "--json")
    result = simulate(stack, *sizes, *words)
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def enrolled(stack: Stack, conditional: bool = False, jwt: bool = False) -> list[Agent]:
    enrolment = FleetEnrolment(
        stack.url, stack.identities["PLEXSPHERE_OPERATOR_TOKEN"], stack.dsn, jwt=jwt
    )
    return enrol(enrolment, NODES, DOMAINS, 4, conditional, lambda: None)


def test_a_herd_is_served_and_every_picture_is_the_ledgers(
    fleet_stack: Stack, tmp_path: Path
) -> None:
    plot = tmp_path / "fleet.svg"
    found = simulated(fleet_stack, "--herd", "--plot", str(plot))
    assert (found["agents"], found["silent"], found["unequal"]) == (NODES, {}, {})
    for kind in ("pull", "heartbeat"):
        assert found["kinds"][kind]["statuses"] == {"200": NODES}
    assert "</svg>" in plot.read_text()


def test_agents_present_secret_keys_or_with_jwt_tokens(fleet_stack: Stack) -> None:
    by_key, by_token = enrolled(fleet_stack)[0], enrolled(fleet_stack, jwt=True)[0]
    assert by_key.credential.startswith("nsk_plexd_") and by_token.credential.count(".") == 2
    # Of a Node that has enrolled: it keeps its key, and the second agent has one more.
    assert by_key.node_id == by_token.node_id
    assert [by_key.heartbeat().status, by_token.heartbeat().status] == [200, 200]
    assert simulated(fleet_stack, "--herd", "--jwt")["unequal"] == {}


def test_the_same_fleet_is_adopted_and_not_registered_twice(fleet_stack: Stack) -> None:
    first, second = enrolled(fleet_stack), enrolled(fleet_stack)
    assert [agent.node_id for agent in first] == [agent.node_id for agent in second]
    domain_ids = {agent.domain_id for agent in first}
    assert len(domain_ids) == DOMAINS
    operator = bearer(fleet_stack.identities["PLEXSPHERE_OPERATOR_TOKEN"])
    held = [
        item["id"]
        for domain_id in domain_ids
        for item in ask(fleet_stack.url, f"/v1/domains/{domain_id}/nodes", operator).json["items"]
    ]
    assert sorted(held) == sorted(agent.node_id for agent in first)


def test_a_picture_that_is_not_the_ledgers_is_named(fleet_stack: Stack) -> None:
    agents = enrolled(fleet_stack, conditional=True, jwt=True)
    assert {agent.pull().status for agent in agents} == {200}
    assert {agent.pull().status for agent in agents} == {304}
    assert unequal(agents, fleet_stack.dsn) == {}
    assert [agents[0].renew().status, agents[0].report().status] == [200, 200]
    assert agents[0].renews_in() == pytest.approx(0.75 * 86_400, abs=60)
    assert unequal(agents, fleet_stack.dsn) == {agents[0].node_id: "state, reports differ"}
    assert agents[0].pull().status == 200
    assert unequal(agents, fleet_stack.dsn) == {}
    snapshot = json.loads(json.dumps(agents[3].picture.desired_state))
    snapshot["peers"].pop()
    agents[3].picture.apply(snapshot)
    assert unequal(agents, fleet_stack.dsn) == {agents[3].node_id: "peers differ"}


def test_what_others_write_during_the_proof_is_no_difference(fleet_stack: Stack) -> None:
    agents, differed = enrolled(fleet_stack), []

    def compare(some: Sequence[Agent]) -> dict[str, str]:
        if not differed:
            agents[0].report()
        differed.append(list(unequal(some, fleet_stack.dsn)))
        return dict.fromkeys(differed[-1], "differ")

    assert prove(agents, 4, compare) == Proof({}, {})
    assert differed == [[agents[0].node_id], []]


def test_a_fleet_of_another_name_takes_ranges_that_are_free_and_can_be_removed(
    fleet_stack: Stack,
) -> None:
    mine = {agent.domain_id for agent in enrolled(fleet_stack)}
    operator = fleet_stack.identities["PLEXSPHERE_OPERATOR_TOKEN"]
    other = FleetEnrolment(fleet_stack.url, operator, fleet_stack.dsn, "other")
    first = enrol(other, 3, 2, 2, False, lambda: None)
    again = enrol(other, 3, 2, 2, False, lambda: None)
    assert [agent.node_id for agent in first] == [agent.node_id for agent in again]
    theirs = {agent.domain_id for agent in first}
    assert len(theirs) == 2
    assert theirs.isdisjoint(mine)
    stays = first[0].domain_id
    path, headers = f"/v1/domains/{stays}/nodes", {**JSON, **bearer(operator)}
    made = ask(fleet_stack.url, path, headers, method="POST", body=body_now("RegisterNode"))
    kept = Agent(fleet_stack.url, made.json["node_id"], stays, made.json["token"])
    left = remove(other, members_of(other), 2, lambda: None)
    assert left == [f"DELETE /v1/domains/{stays}: 409 domain_not_empty"]
    # 403 where a worker has verified the key before the Node was removed.
    assert {agent.pull().status for agent in first} <= {401, 403}
    assert kept.pull().status == 200
    assert members_of(other) == Members([], [stays])
    assert remove(other, Members([kept.node_id], [stays]), 2, lambda: None) == []
    statuses = {
        ask(fleet_stack.url, f"/v1/domains/{domain_id}", bearer(operator)).status
        for domain_id in theirs
    }
    assert statuses == {404}


def test_a_run_removes_all_of_its_name_when_it_is_told_to(fleet_stack: Stack) -> None:
    operator = fleet_stack.identities["PLEXSPHERE_OPERATOR_TOKEN"]
    brief = FleetEnrolment(fleet_stack.url, operator, fleet_stack.dsn, "brief")
    for _ in range(2):
        enrol(brief, 5, 2, 4, False, lambda: None)
        result = simulate(
            fleet_stack, "--nodes", "2", "--seconds", "1", "--name", "brief", "--remove"
        )
        assert result.returncode == 0, result.stderr
        assert result.stderr.splitlines()[-1] == "removed: 5 Nodes, 2 Domains"
        assert members_of(brief) == Members([], [])


def test_a_fleet_is_removed_even_where_its_registration_is_stopped(fleet_stack: Stack) -> None:
    operator = fleet_stack.identities["PLEXSPHERE_OPERATOR_TOKEN"]
    stopped = FleetEnrolment(fleet_stack.url, operator, fleet_stack.dsn, "stopped")
    words = ("--nodes", "20000", "--name", stopped.name, "--remove")
    with subprocess.Popen(
        [sys.executable, "-c", CODE, "fleet", "simulate", *words],
        env={"PATH": "/usr/bin:/bin", **fleet_stack.env, **fleet_stack.identities},
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        while len(members_of(stopped).nodes) < 5:
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        output = running.communicate(timeout=60)[1]
    assert (running.returncode, output.splitlines()[-1]) == (3, "error: stopped before the proof.")
    assert "removed: " in output
    assert members_of(stopped) == Members([], [])


def test_a_refused_registration_ends_in_one_sentence(fleet_stack: Stack) -> None:
    enrolment = FleetEnrolment(
        fleet_stack.url, fleet_stack.token("user:stranger"), fleet_stack.dsn, "others"
    )
    with pytest.raises(EnrolmentError, match="403 insufficient_relation"):
        enrol(enrolment, 1, 1, 1, False, lambda: None)
