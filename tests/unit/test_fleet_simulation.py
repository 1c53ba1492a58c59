"""The parts of a simulated fleet: its picture, its ticks, its tally, its wire."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from server.cli.failures import Failure
from server.cli.fleet.simulate import _allow_connections
from server.fleet.agents import Agent, Picture
from server.fleet.proof import Proof, prove
from server.fleet.simulation import (
    HEARTBEAT_SECONDS,
    Run,
    Schedule,
    Simulation,
    raise_descriptor_limit,
)
from server.fleet.tally import HEARTBEAT, PULL, Tally, quantiles
from server.fleet.wire import NO_ANSWER, AgentAnswer
from tests.control_plane import Control, control_plane
from tests.golden.pull import kept

BODIES = {name: json.loads(body) for name, body in kept().items()}


def without_reachability(body: dict[str, Any]) -> dict[str, Any]:
    return {name: block for name, block in body.items() if name != "reachability"}


@pytest.mark.parametrize("name", BODIES)
def test_a_picture_equals_the_snapshot_that_was_applied(name: str) -> None:
    picture = Picture()
    picture.apply(BODIES[name])
    assert picture.desired_state == without_reachability(BODIES[name])


def test_a_picture_follows_from_any_snapshot_to_any_other() -> None:
    picture = Picture()
    for body in [*BODIES.values(), *reversed(BODIES.values())]:
        picture.apply(body)
        assert picture.desired_state == without_reachability(body)


def test_the_same_snapshot_twice_corrects_nothing() -> None:
    picture, body = Picture(), BODIES["everything/full.body.json"]
    assert picture.apply(body) > 5
    assert picture.apply(body) == 0


def test_a_herd_starts_in_one_instant_and_others_within_their_interval() -> None:
    herd, spread = Schedule(Random(1)), Schedule(Random(1))
    for agent in range(100):
        herd.start(agent, HEARTBEAT, 0.0)
        spread.start(agent, HEARTBEAT, HEARTBEAT_SECONDS)
    assert len([due for _ in range(100) if (due := herd.pop(0.0))]) == 100
    starts = [due.at for _ in range(100) if (due := spread.pop(HEARTBEAT_SECONDS))]
    assert len(starts) == 100
    assert starts == sorted(starts)
    assert starts[-1] - starts[0] > HEARTBEAT_SECONDS / 2


def test_ticks_keep_their_interval_and_those_that_passed_are_dropped() -> None:
    schedule = Schedule(Random(1))
    schedule.start(0, PULL, 0.0)
    first = schedule.pop(0.0)
    assert first is not None
    schedule.again(first, 60.0, now=1.0)
    assert schedule.pop(59.9) is None
    second = schedule.pop(60.0)
    assert second is not None
    schedule.again(second, 60.0, now=500.0)
    assert schedule.next_at == 500.0


def test_jitter_moves_a_tick_by_its_share_at_most() -> None:
    schedule = Schedule(Random(1), jitter=0.1)
    schedule.start(0, PULL, 0.0)
    due = schedule.pop(0.0)
    moments = []
    for _ in range(50):
        assert due is not None
        schedule.again(due, 60.0, now=due.at)
        after = schedule.pop(1e9)
        assert after is not None
        moments.append(after.at - due.at)
        due = after
    assert 54.0 <= min(moments) < 57.0
    assert 63.0 < max(moments) <= 66.0


def test_quantiles_are_by_rank() -> None:
    assert quantiles([]) == (0.0,) * 5
    assert quantiles(range(1, 1001), (0.5, 0.99, 1.0)) == (501, 991, 1000)


def test_every_agent_of_a_herd_sends_at_once() -> None:
    """Nobody is answered before all of them are there."""
    agents = [Agent("http://127.0.0.1:9", f"n-{number}", "d-1", "t") for number in range(40)]
    there = threading.Barrier(2 * len(agents))

    def exchange(agent: Agent) -> AgentAnswer:
        there.wait(10.0)
        return AgentAnswer(200, {}, b"{}", 0.0)

    run = Run(seconds=0.1, clients=2, jitter=0.0, herd=True, seed=1)
    simulation = Simulation(agents, run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Agent, "pull", exchange)
        patch.setattr(Agent, "heartbeat", exchange)
        simulation.run(lambda now: None, lambda: False)
    assert [kind.count for kind in simulation.tally.kinds()] == [40, 40]
    assert run.threads(40) == 80


def test_the_limit_of_open_files_is_raised_as_far_as_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = [(1_024, 2_048)]
    monkeypatch.setattr("resource.getrlimit", lambda which: limits[-1])
    monkeypatch.setattr("resource.setrlimit", lambda which, value: limits.append(value))
    assert raise_descriptor_limit(960) == 960
    assert len(limits) == 1
    assert raise_descriptor_limit(1_000) == 1_000
    assert limits[-1] == (1_064, 2_048)
    assert raise_descriptor_limit(5_000) == 2_048 - 64
    with pytest.raises(Failure, match=r"ulimit -n"):
        _allow_connections(5_000, 2_500)


def test_latencies_count_from_when_the_exchange_was_due() -> None:
    tally = Tally()
    tally.add(PULL, 1.0, 0.5, 200, 0.25)
    assert tally.kinds()[0].latencies == (0.75,) * 5
    assert tally.kinds()[0].latest_start == 0.5
    assert [(second.at, second.p99) for second in tally.seconds()] == [(1, 0.75)]


def test_a_run_ticks_every_agent() -> None:
    with control_plane() as url:
        agents = [Agent(url, f"n-{number}", "d-1", "t") for number in range(5)]
        simulation = Simulation(agents, Run(seconds=0.3, clients=4, jitter=0.0, herd=True, seed=1))
        simulation.run(lambda now: None, lambda: False)
        assert {kind.name: kind.count for kind in simulation.tally.kinds()} == {
            PULL: 5,
            HEARTBEAT: 5,
        }
        assert simulation.tally.failed == 0


def test_an_agent_that_is_not_proven_pulls_again_three_times() -> None:
    """A writer is faster than the first two comparisons; the third Node never gets it right."""
    compared: list[list[str]] = []

    def compare(agents: Sequence[Agent]) -> dict[str, str]:
        names = [agent.node_id for agent in agents]
        compared.append(names)
        behind = names if len(compared) < 3 else names[-1:]
        return dict.fromkeys([name for name in behind if name != "n-0"], "peers differ")

    with control_plane() as url:
        agents = [Agent(url, f"n-{number}", "d-1", "t") for number in range(3)]
        proof = prove(agents, 4, compare)
        pulls = Counter(path.split("/")[3] for _, path, _, _ in Control.seen)
    assert proof == Proof({"n-2": "peers differ"}, {})
    assert compared == [["n-0", "n-1", "n-2"], ["n-1", "n-2"], ["n-1", "n-2"], ["n-2"]]
    assert pulls == {"n-0": 1, "n-1": 3, "n-2": 4}


def test_an_agent_without_a_last_answer_is_listed_with_its_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problem = json.dumps({"code": "dependency_unavailable"}).encode()
    answers = {
        "n-0": [AgentAnswer(503, {}, problem, 0.0)] * 4,
        "n-1": [AgentAnswer(502, {}, b"<html>", 0.0), AgentAnswer(200, {}, b"{}", 0.0)],
        "n-2": [AgentAnswer(NO_ANSWER, {}, b"", 0.0)] * 4,
    }
    monkeypatch.setattr(Agent, "pull", lambda agent: answers[agent.node_id].pop(0))
    proof = prove([Agent("", name, "d-1", "t") for name in answers], 4, lambda agents: {})
    assert proof == Proof({}, {"n-0": "503 dependency_unavailable", "n-2": "no answer"})


@pytest.mark.parametrize("block", ["state", "reports"])
def test_the_two_blocks_of_entries_are_kept_apart(block: str) -> None:
    picture, body = Picture(), json.loads(json.dumps(BODIES["everything/full.body.json"]))
    picture.apply(body)
    del body[block]["metadata"]
    body[block]["reports"] = []
    picture.apply(body)
    assert picture.desired_state == without_reachability(body)


def test_an_empty_tally_can_be_summed_up() -> None:
    tally = Tally()
    assert (tally.kinds(), tally.failed, len(tally)) == ([], 0, 0)
